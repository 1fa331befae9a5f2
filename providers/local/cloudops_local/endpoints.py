"""Endpoints of this machine: what they serve, their tokens and the engine's services."""

from __future__ import annotations

import contextlib
import os
import secrets as random
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudops.engine.folders import remove
from cloudops.errors import Conflict
from cloudops.refs import Ref

from .files import write
from .workplace import Workplace

if TYPE_CHECKING:
    from cloudops.engine.service_types import ServiceState
    from cloudops.provider import DeployRequest

#: Seconds that an endpoint may take to end before its deletion is given up.
_ENDING = 60.0


class Endpoints(Workplace):
    """The endpoints of a project folder."""

    def deploy(self, request: DeployRequest) -> None:
        """Copy what is served and hand it to the endpoint's supervisor; the live version again changes nothing."""
        from cloudops.engine import service

        from . import mapping

        folder = self.layout.endpoint(request.endpoint)
        # The same version from another shell or a later cloudops has another PATH or runtime: what is served stays.
        version = service.version(folder, request.version) or self.version_spec(request)
        options = request.options
        policy = service.Policy(target_concurrency=options.target_concurrency) if options else service.Policy()
        with self.alone("endpoints", request.endpoint), self._unless_refused(request.endpoint):
            self.own(request)
            self.check_port(request)
            folder.mkdir(parents=True, exist_ok=True)
            _serve_from(self.layout.version(request.endpoint, request.version), request)
            self.index.add("endpoints", request.endpoint, request.project, "deploy")
            if not (owner := self.layout.owner(request.endpoint)).exists():
                write(owner, {"project": request.project, "created": time.time()})
            service.deploy(
                folder,
                version,
                mapping.rollout(request),
                port=options.port if options else None,
                token=self._token(folder) if request.spec.auth == "token" else "",
                secrets={**(mapping.index_credentials(self.environ) if version.setup else {}), **request.secrets},
                policy=policy,
            )
            if request.spec.auth != "token":
                (folder / "token").unlink(missing_ok=True)
            self._prune(request.endpoint)

    @contextmanager
    def _unless_refused(self, name: str) -> Iterator[None]:
        """Leave nothing of an endpoint whose first deployment does not come to be."""
        existed = self.has_endpoint(name)
        try:
            yield
        except Exception:
            if not existed and not self.has_endpoint(name):
                for folder in (self.layout.endpoint(name), self.layout.versions(name)):
                    shutil.rmtree(folder, ignore_errors=True)
                self.index.remove("endpoints", name)
            raise

    def _prune(self, endpoint: str) -> None:
        """Remove what versions served that the endpoint cannot go back to any more."""
        from cloudops.engine import service

        known = service.versions(self.layout.endpoint(endpoint))
        for folder in self.layout.versions(endpoint).iterdir():
            if folder.name not in known:
                shutil.rmtree(folder, ignore_errors=True)

    def own(self, request: DeployRequest) -> None:
        """Raise Conflict where the endpoint is another project's of this folder."""
        found = self.index.get("endpoints", request.endpoint)
        if found is not None and found.project != request.project:
            raise Conflict(
                f"the endpoint {found.name!r} belongs to the project {found.project!r} of the same folder",
                provider="local",
                operation="deploy",
                ref=self.ref("endpoints", found.name),
                hint="choose another name for this project's endpoint, or delete that one with its own project file",
            ).at("deploy", "endpoint")

    def check_port(self, request: DeployRequest) -> None:
        """Raise Conflict where the endpoint cannot have the port that is asked for."""
        from cloudops.engine import service

        port = request.options.port if request.options is not None else None
        try:
            service.check_port(self.layout.endpoint(request.endpoint), port)
        except (OSError, RuntimeError) as error:
            text = error.strerror if isinstance(error, OSError) else str(error)
            raise Conflict(str(text), provider="local").at("overrides", "local", "deploy", "port") from error

    def has_endpoint(self, name: str) -> bool:
        """Whether the endpoint was started: a first deployment that is refused or killed leaves a row without one."""
        return self.index.get("endpoints", name) is not None and (self.layout.endpoint(name) / "desired.json").exists()

    def version_spec(self, request: DeployRequest) -> Any:
        """What the engine would serve for a request. Raises what stands in its way on this machine."""
        from . import mapping
        from .interpreters import choose
        from .machine import fits, gpu_ids

        fits("deploy", request.spec.resources, self.layout.root, request.spec.min_replicas)
        python = self.python("deploy", request.options)
        interpreter = choose("deploy", request.spec.framework, request.requirements, python)
        return mapping.version_spec(
            request,
            self.layout.version(request.endpoint, request.version),
            python=interpreter.python,
            runtime=self.runtime(),
            setup=interpreter.setup,
            gpus=gpu_ids("deploy", request.spec.resources.accelerators),
            environ=self.environ,
        )

    def endpoint_folder(self, ref: Ref) -> Path:
        """The engine's folder of an endpoint. Raises NotFound."""
        return self.layout.endpoint(self.item(ref).name)

    def endpoint_state(self, ref: Ref) -> ServiceState:
        """Where the engine says that the endpoint stands."""
        from cloudops.engine import service

        return service.read(self.endpoint_folder(ref))

    def delete_endpoint(self, ref: Ref) -> None:
        """End every process of the endpoint and remove its files; silent when it is gone."""
        from cloudops.engine import service

        folder = self.layout.endpoint(ref.id)
        with self.alone("endpoints", ref.id):
            service.delete(folder, wait=_ENDING)  # where the folder was removed, its processes may be left
            remove(folder)
            remove(self.layout.versions(ref.id))
            self.index.remove("endpoints", ref.id)

    def token(self, ref: Ref) -> str | None:
        """The endpoint's token, where it has one."""
        path = self.endpoint_folder(ref) / "token"
        return path.read_text(encoding="utf-8") if path.exists() else None

    def _token(self, folder: Path) -> str:
        path = folder / "token"
        if not path.exists():
            building = folder / f".token.{os.getpid()}"
            building.unlink(missing_ok=True)
            descriptor = os.open(building, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(random.token_urlsafe(32))
            # A link is there whole or not at all: an empty token would be no token, and the endpoint open.
            with contextlib.suppress(FileExistsError):
                os.link(building, path)
            building.unlink()
        return path.read_text(encoding="utf-8")


def _serve_from(folder: Path, request: DeployRequest) -> None:
    """Copy the model and the predictor's code to ``folder`` once, so that deleting a job does not break serving."""
    if folder.exists():
        return
    from cloudops.store.snapshot import unpack

    building = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(building, ignore_errors=True)
    try:
        shutil.copytree(request.model.location, building / "model")
        (building / "code").mkdir()
        if request.code is not None:
            unpack(request.code.archive, building / "code")
        write(building / "lineage.json", dict(request.model.lineage))
        os.rename(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
