"""What an instance of an endpoint or of a batch transform runs: the container of a model, as ``serve``."""

from __future__ import annotations

import os
import shutil
import tarfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudops.engine.limits import choose_cores, thread_variables
from cloudops.engine.service_shim import Task
from cloudops.offline.machines.containers import launch
from cloudops.offline.machines.fleets import Blueprint, FleetFailed
from cloudops.offline.machines.replicas import Health

from . import aws, effects, images
from .containers import Container

if TYPE_CHECKING:
    from .images import Image
    from .region import Region

_TOOLKIT = Path(__file__).with_name("hosting_toolkit.py")
_CODE = "/opt/ml/model/code"


@dataclass(frozen=True)
class Served:
    """A model's container.

    Args:
        region: where.
        what: the endpoint or job, for the session's name and the log.
        container: as CreateModel has it.
        role: whose credentials it has.
        env: variables over the container's own.
        cpus: cores of this machine that an instance may use; None: all.
        unused: what has no effect here, to be told in the log.
        isolated: whether containers get neither proxy nor credentials.
        download: seconds of the offline clock that the model's data may take; None: no limit.
    """

    region: Region
    what: str
    container: Mapping[str, Any]
    role: str
    env: Mapping[str, str]
    cpus: float | None = None
    unused: Sequence[str] = ()
    isolated: bool = False
    download: float | None = None

    def blueprint(self, folder: Path, health: Health, *, spread: bool = False, alone: bool = False) -> Blueprint:
        """What each of its instances is made of.

        Raises:
            ServiceError: no Python stands for its image any more.
        """
        image = images.find(self.container["Image"], self.region.surroundings.images)
        shared = _Shared(self, folder / "shared")
        lock = threading.Lock()

        def start(own: Path, port: int) -> Task:
            with lock:  # instances of a fleet start at once
                return self._task(image, shared, own, port)

        return Blueprint(folder, shared.fetch, start, health, spread, alone)

    def _task(self, image: Image, shared: _Shared, folder: Path, port: int) -> Task:
        literal = self.region.site.literal
        container = Container(folder / "container", image.python, host=folder.name, literal=literal)
        if not container.root.exists():
            container.make(["model"])
            shared.place(container.ml)
            with (folder / "container.log").open("a", encoding="utf-8") as log:
                log.writelines(f"{time.time():.6f} {line}\n" for line in (image.told(), *effects.lines(self.unused)))
        entry = container.entry(self._argv(image, container), self._variables(port, shared))
        folder.mkdir(parents=True, exist_ok=True)
        return Task(
            argv=launch(folder / "entry.json", [entry], literal=literal),
            env={"PYTHONUNBUFFERED": "1"},
            cwd=None,
            log=str(folder / "container.log"),
            cores=choose_cores(self.cpus)[0],
            tied=True,
        )

    def _argv(self, image: Image, container: Container) -> list[str]:
        """An own image is run as ``serve``; of AWS's own ones, our toolkit is what ``serve`` is there."""
        if _prebuilt(image.uri):
            return ["python", str(_TOOLKIT)]
        own = container.ml / "model" / "code" / "serve"
        return [f"{_CODE}/serve"] if own.is_file() and os.access(own, os.X_OK) else ["serve"]

    def _variables(self, port: int, shared: _Shared) -> dict[str, str]:
        region = self.region
        own = dict(self.container.get("Environment", {})) | dict(self.env)
        if shared.code:
            own["SAGEMAKER_SUBMIT_DIRECTORY"] = "/opt/ml/code"
        return {
            **({} if self.isolated else self._access()),
            "AWS_REGION": region.name,
            "AWS_DEFAULT_REGION": region.name,
            "SAGEMAKER_REGION": region.name,
            "PYTHONUNBUFFERED": "1",
            "SAGEMAKER_BASE_DIR": "/opt/ml",
            **thread_variables(self.cpus),
            **own,
            # Containers share this machine's ports, so 8080 can be nobody's.
            "SAGEMAKER_BIND_TO_PORT": str(port),
        }

    def _access(self) -> dict[str, str]:
        """The way to the network, and the role's credentials."""
        credentials = aws.assume(self.region, self.role, self.what)
        return {
            **self.region.surroundings.network,
            "AWS_ACCESS_KEY_ID": credentials.key_id,
            "AWS_SECRET_ACCESS_KEY": credentials.secret,
            "AWS_SESSION_TOKEN": credentials.token,
        }


def _prebuilt(uri: str) -> bool:
    """Whether it is an image of AWS's own."""
    return uri.partition("@")[0].rpartition("/")[2].partition(":")[0] in images.PREBUILT


class _Shared:
    """What all instances have in common: the artifact, fetched and unpacked once."""

    def __init__(self, served: Served, folder: Path) -> None:
        self._served, self._folder, self._begun = served, folder, 0.0
        submit = {**served.container.get("Environment", {}), **served.env}.get("SAGEMAKER_SUBMIT_DIRECTORY", "")
        self.code = submit if submit.startswith("s3://") else ""

    def fetch(self) -> None:
        """Fetch and unpack it.

        Raises:
            FleetFailed: it is not there or no archive.
        """
        self._begun = self._served.region.clock.now()
        model = self._folder / "model"
        model.mkdir(parents=True, exist_ok=True)
        container = self._served.container
        source = dict(container.get("ModelDataSource", {}).get("S3DataSource", {}))
        if "ModelDataUrl" in container:
            source = {"S3Uri": container["ModelDataUrl"], "S3DataType": "S3Object", "CompressionType": "Gzip"}
        if source:
            self._get(source["S3Uri"], model, packed=source["CompressionType"] == "Gzip", data=source["S3DataType"])
        if self.code:
            self._get(self.code, self._folder / "code", packed=True, data="S3Object")

    def place(self, ml: Path) -> None:
        """Put it below a container's ``/opt/ml``; files are shared until one of the containers replaces them."""
        for part in self._folder.iterdir():
            shutil.copytree(part, ml / part.name, copy_function=os.link, symlinks=True, dirs_exist_ok=True)

    def _get(self, url: str, target: Path, *, packed: bool, data: str) -> None:
        region = self._served.region
        _, key = aws.split(url)
        if data == "S3Object":
            objects = [one for one in aws.objects(region, url) if one.key == key]
        else:
            objects = [one for one in aws.objects(region, url) if not one.key.endswith("/")]
        if not objects:
            raise FleetFailed(
                f'Failed to download model data for container "container_1" from URL "{url}". Please ensure that there '
                "is an object located at the URL and that the role passed to CreateModel has permissions to download "
                "the model."
            )
        target.mkdir(parents=True, exist_ok=True)
        for one in objects:
            name = one.key.removeprefix(key).lstrip("/") or key.rpartition("/")[2]
            aws.download(region, one, target / name)
            self._check_time(url)
            if packed:
                _unpack(target / name, target, url)

    def _check_time(self, url: str) -> None:
        limit = self._served.download
        if limit is not None and self._served.region.clock.now() - self._begun > limit:
            raise FleetFailed(
                f'Failed to download model data for container "container_1" from URL "{url}" in {limit:g} s: please '
                "increase ModelDataDownloadTimeoutInSeconds."
            )


def _unpack(archive: Path, target: Path, url: str) -> None:
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise FleetFailed(
            f'Failed to extract model data archive for container "container_1" from URL "{url}". Please ensure that '
            f"the object located at the URL is a valid tar.gz archive. ({error})"
        ) from error
    archive.unlink()
