"""What a replica of a deployed model runs: its container, by the contract that custom containers have.

https://cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cloudops
from cloudops.engine.limits import choose_cores, thread_variables
from cloudops.engine.service_shim import Task
from cloudops.offline.machines.containers import launch
from cloudops.offline.machines.fleets import Blueprint, FleetFailed
from cloudops.offline.machines.replicas import Health

from . import images
from .artifacts import managed
from .containers import Container
from .job_replicas import expanded

if TYPE_CHECKING:
    from .machine_types import MachineType
    from .site import Site
    from .store import Record

_WITHOUT_EFFECT = ("startup_probe", "health_probe", "liveness_probe", "shared_memory_size_mb")
#: Seconds in which a server has to be healthy, where the model says nothing.
_STARTUP = 1800.0


@dataclass(frozen=True)
class Served:
    """A model's container in an endpoint.

    Args:
        site: where.
        endpoint: the id.
        deployed: the deployed model's id.
        model: the version.
        size: of its machine.
        account: the service account; empty for the default one.
        unused: what was asked for and has no effect here, to be told in the log.
    """

    site: Site
    endpoint: str
    deployed: str
    model: Record
    size: MachineType
    account: str = ""
    unused: Sequence[str] = ()

    @property
    def spec(self) -> Any:
        """The model's container specification."""
        return self.model.message.container_spec

    @property
    def health_route(self) -> str:
        """Of its server."""
        return self.spec.health_route or f"/v1/endpoints/{self.endpoint}/deployedModels/{self.deployed}"

    @property
    def predict_route(self) -> str:
        """Of its server."""
        return self.spec.predict_route or f"/v1/endpoints/{self.endpoint}/deployedModels/{self.deployed}:predict"

    @property
    def timeout(self) -> float:
        """Seconds in which a replica has to be healthy."""
        return float(self.spec.deployment_timeout.seconds) or _STARTUP

    def blueprint(self, folder: Path, health: Health) -> Blueprint:
        """What each of its replicas is made of."""
        lock = threading.Lock()

        def start(own: Path, port: int) -> Task:
            with lock:  # replicas of a fleet start at once
                return self._task(own, port)

        return Blueprint(folder, self._check, start, health)

    def _check(self) -> None:
        """Raises FleetFailed: nothing stands for the image, or nothing is to be run."""
        try:
            image = images.find(self.spec.image_uri, self.site.surroundings.images)
        except images.NoImage as error:
            raise FleetFailed(f"The container cannot be started: {error}") from error
        if not self.spec.command and not image.prebuilt:
            raise FleetFailed(
                "The container cannot be started: it would run the entrypoint of its image, which nothing stands for "
                "offline. Give container_spec.command."
            )

    def _task(self, folder: Path, port: int) -> Task:
        image = images.find(self.spec.image_uri, self.site.surroundings.images)
        literal = self.site.literal
        container = Container(folder / "container", image.python, folder.name, literal, {}, self.site.buckets.tree)
        variables = self._variables(port)
        if not container.root.exists():
            container.create()
            with (folder / "container.log").open("a", encoding="utf-8") as log:
                log.writelines(f"{time.time():.6f} {line}\n" for line in (image.told(), *self._told(port)))
        argv = expanded([*self.spec.command, *self.spec.args], variables)
        if not self.spec.command:
            argv, variables = self._prebuilt(container, variables)
        entry = container.entry(argv, variables)
        return Task(
            argv=launch(folder / "entry.json", [entry], literal=literal),
            env={"PYTHONUNBUFFERED": "1"},
            cwd=None,
            log=str(folder / "container.log"),
            cores=choose_cores(self.size.cores)[0],
            tied=True,
        )

    def _prebuilt(self, container: Container, variables: dict[str, str]) -> tuple[list[str], dict[str, str]]:
        """How Google's own images serve a model file: here our runtime does."""
        folder = container.root / "model"
        bucket, _, prefix = managed(self.model).removeprefix("gs://").partition("/")
        for one in self.site.buckets.list(bucket, f"{prefix}/") if bucket else ():
            target = folder / one.name[len(prefix) + 1 :]
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(one.path.read_bytes())
        path = str(Path(cloudops.__file__).parents[1])
        own = {"PYTHONPATH": path, "CLOUDOPS_MODEL_DIR": str(folder), "CLOUDOPS_HOST": "127.0.0.1"}
        return ["python", "-m", "cloudops.runtime", "serve"], {**variables, **own}

    def _variables(self, port: int) -> dict[str, str]:
        name = self.model.name
        own = {
            "AIP_MODE": "PREDICTION",
            "AIP_MODE_VERSION": "1.0.0",
            "AIP_FRAMEWORK": "CUSTOM_CONTAINER",
            "AIP_STORAGE_URI": managed(self.model),
            "AIP_ENDPOINT_ID": self.endpoint,
            "AIP_DEPLOYED_MODEL_ID": self.deployed,
            "AIP_VERSION_NAME": self.deployed,
            "AIP_PROJECT_NUMBER": name.project,
            "AIP_MACHINE_TYPE": self.size.name,
            "AIP_ACCELERATOR_TYPE": "ACCELERATOR_TYPE_UNSPECIFIED",
            "AIP_HEALTH_ROUTE": self.health_route,
            "AIP_PREDICT_ROUTE": self.predict_route,
            "PYTHONUNBUFFERED": "1",
            **thread_variables(self.size.cores),
        }
        given: dict[str, str] = {}
        for one in self.spec.env:
            given[one.name] = expanded([one.value], {**own, **given})[0]
        access = self.site.access(name.project, self.account)
        # Containers share this machine's ports, so 8080 can be nobody's.
        return {**access, **own, **given, "AIP_HTTP_PORT": str(port)}

    def _told(self, port: int) -> Sequence[str]:
        asked = [one.container_port for one in self.spec.ports]
        given = {field.name for field, _ in self.spec.ListFields()}
        unused = [*self.unused, *(f"container_spec.{name}" for name in _WITHOUT_EFFECT if name in given)]
        lines = [f"[offline] without effect here: {', '.join(unused)}"] if unused else []
        return [*lines, *([f"[offline] AIP_HTTP_PORT is {port}, not {asked[0]}"] if asked else [])]
