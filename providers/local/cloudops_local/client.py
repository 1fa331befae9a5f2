"""What this machine keeps and runs: the index, the job folders and the engine. Only this module drives the engine."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets as random
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudops.engine.folders import remove
from cloudops.errors import Conflict, NotFound, ProviderError
from cloudops.refs import LogLine, Ref

from .layout import JobFolder, Layout
from .leftovers import leftovers
from .state import Index, Item

if TYPE_CHECKING:
    from cloudops.engine.job import JobState
    from cloudops.engine.service_types import ServiceState
    from cloudops.provider import DeployRequest, JobRequest

    from .options import LocalTarget


#: Seconds that a job or an endpoint may take to end before its deletion is given up.
_ENDING = 60.0
#: Seconds within which a job's supervisor says that it is stopping it.
_HEEDED = 1.0


class LocalClient:
    """The local provider's side of one project folder.

    Args:
        root: the project's folder.
        settings: the target's settings.
        environ: what processes inherit their few undeclared variables from.
    """

    def __init__(self, root: Path, settings: LocalTarget | None, environ: Mapping[str, str] | None = None) -> None:
        self.layout = Layout(root)
        self.index = Index(self.layout.database, lambda: leftovers(self.layout))
        self.settings = settings
        self.environ = os.environ if environ is None else environ

    def ref(self, kind: str, name: str) -> Ref:
        """The handle of something of this project folder."""
        return Ref("local", str(self.layout.root).strip("/"), kind, name)

    def item(self, ref: Ref) -> Item:
        """The row of a job or an endpoint; a model is its job's. Raises NotFound."""
        kind = "jobs" if ref.kind == "models" else ref.kind
        found = self.index.get(kind, ref.id)
        if found is None:
            raise NotFound(
                f"there is no {ref.kind[:-1]} {ref.id!r} in {self.layout.root}",
                provider="local",
                ref=ref,
                hint="it was deleted, or lives on another machine: a local URI works where it was made",
            )
        return found

    # Jobs

    def start_job(self, request: JobRequest) -> None:
        """Write the job's folder and start its supervisor; a job of that name that is there is left alone."""
        from cloudops.engine import job

        from . import mapping

        folder = self.layout.job(request.name)
        spec = self.job_spec(request)
        building = mapping.index_credentials(self.environ) if spec.setup else {}
        given = {**building, **mapping.source_secrets(request), **request.secrets}
        with self._alone("jobs", request.name):
            if self.has_job(request.name):
                return
            self._write_job(request, folder)
            self.index.add("jobs", request.name, request.lineage.project, request.step)
            job.start(folder.run, spec, secrets=given)

    def _write_job(self, request: JobRequest, folder: JobFolder) -> None:
        from . import mapping

        checkpoints = self.layout.checkpoints(request.checkpoint or request.name)
        outputs = [folder.named_output(name) for name in request.spec.outputs]
        for path in (folder.model, folder.output, folder.code, checkpoints, folder.run, *outputs):
            path.mkdir(parents=True, exist_ok=True)
        _write(folder.contract, mapping.contract(request, folder, checkpoints))
        _write(folder.lineage, {**asdict(request.lineage), "requirements": request.requirements})
        if stages := mapping.stages(request, folder):
            _write(folder.path / "stages.json", stages)

    def has_job(self, name: str) -> bool:
        """Whether the job was started: a client that is killed while it submits leaves a row without one."""
        if self.index.get("jobs", name) is None:
            return False
        from cloudops.engine import job

        try:
            job.read(self.layout.job(name).run)
        except FileNotFoundError:
            return False
        return True

    def attempts(self, name: str) -> Iterator[tuple[int, str]]:
        """Number and name of each job of the intent ``name``."""
        pattern = re.compile(rf"{re.escape(name)}(?:-([0-9]+))?")
        for item in self.index.list("jobs", None):
            match = pattern.fullmatch(item.name)
            if match is not None and self.has_job(item.name):
                yield int(match[1] or 1), item.name

    def job_spec(self, request: JobRequest) -> Any:
        """What the engine would run for a request. Raises what stands in its way on this machine."""
        from . import mapping
        from .interpreters import choose
        from .machine import fits, gpu_ids

        fits(request.step, request.spec.resources, self.layout.root, request.spec.resources.num_nodes)
        python = self._python(request.step, request.options)
        interpreter = choose(request.step, request.spec.framework, request.requirements, python)
        folder = self.layout.job(request.name)
        setup = list(interpreter.setup)
        if mapping.stages(request, folder):
            plan, store = str(folder.path / "stages.json"), str(self.layout.store)
            setup.append((sys.executable, "-m", "cloudops_local.stage", plan, store))
        return mapping.job_spec(
            request,
            folder,
            python=interpreter.python,
            runtime=self._runtime(),
            setup=setup,
            gpus=gpu_ids(request.step, request.spec.resources.accelerators),
            environ=self.environ,
        )

    def job_folder(self, ref: Ref) -> JobFolder:
        """The folder of a job or of a model's job. Raises NotFound."""
        return self.layout.job(self.item(ref).name)

    def job_state(self, ref: Ref) -> JobState:
        """Where the engine says that the job stands."""
        from cloudops.engine import job

        return job.read(self.job_folder(ref).run)

    def job_logs(self, ref: Ref, follow: bool, tail: int | None) -> Iterator[LogLine]:
        """The job's output."""
        from cloudops.engine import job, logs

        run = self.job_folder(ref).run
        if not follow:
            records = logs.read(run, tail=tail)
        else:
            records = logs.follow(run, done=lambda: job.read(run).final, tail=tail)
        return (LogLine(record.time, record.text, f"rank-{record.rank}") for record in records)

    def job_metrics(self, ref: Ref) -> Sequence[Any]:
        """What the job logged."""
        from cloudops.engine import job

        return job.metrics(self.job_folder(ref).run)

    def cancel_job(self, ref: Ref) -> None:
        """Stop the job; silent when it has ended. Returns once it is seen to stop, or a second later."""
        from cloudops.engine import job

        run = self.job_folder(ref).run
        state = job.cancel(run)
        deadline = time.monotonic() + _HEEDED
        while state is not None and state.phase == "running" and time.monotonic() < deadline:
            time.sleep(0.01)
            state = job.read(run)

    def delete_job(self, ref: Ref) -> None:
        """Stop the job and remove its folder, and its checkpoints unless another try has them too.

        Silent when it is gone. Its row goes last: what could not be removed stays listed, and can be deleted again.

        Raises:
            RuntimeError: it does not end.
            OSError: a file cannot be removed.
        """
        from cloudops.engine import job

        if self.index.get("jobs", ref.id) is None:
            return
        folder = self.layout.job(ref.id)
        with self._alone("jobs", ref.id):
            state = job.cancel(folder.run, wait=_ENDING) if folder.run.exists() else None
            if state is not None and not state.final:
                raise RuntimeError(f"{ref.id} does not end: it is {state.phase} after {_ENDING:g} s; delete it again")
            checkpoints = self._checkpoints(ref.id)
            if checkpoints is not None and not self._shared(checkpoints, ref.id):
                remove(checkpoints)
            remove(folder.path)
            self.index.remove("jobs", ref.id)

    def _checkpoints(self, name: str) -> Path | None:
        contract = _read(self.layout.job(name).contract)
        return Path(contract["checkpoint_dir"]) if contract else None

    def _shared(self, checkpoints: Path, name: str) -> bool:
        """Whether another try than ``name`` of the intent that named the checkpoints has them too."""
        others = (other for _, other in self.attempts(checkpoints.name) if other != name)
        return any(self._checkpoints(other) == checkpoints for other in others)

    def lineage(self, name: str) -> dict[str, Any]:
        """``lineage.json`` of a job; empty when it is gone. Raises ProviderError where it is damaged."""
        path = self.layout.job(name).lineage
        found = _read(path)
        if found is None and path.exists():
            hint = "nothing can be said of where its model comes from: train it again with --new"
            raise ProviderError(f"{path} is damaged", provider="local", hint=hint)
        return found or {}

    # Endpoints

    def deploy(self, request: DeployRequest) -> None:
        """Copy what is served and hand it to the endpoint's supervisor; the live version again changes nothing."""
        from cloudops.engine import service

        from . import mapping

        folder = self.layout.endpoint(request.endpoint)
        # The same version from another shell or a later cloudops has another PATH or runtime: what is served stays.
        version = service.version(folder, request.version) or self.version_spec(request)
        options = request.options
        policy = service.Policy(target_concurrency=options.target_concurrency) if options else service.Policy()
        with self._alone("endpoints", request.endpoint), self._unless_refused(request.endpoint):
            self.own(request)
            self.check_port(request)
            folder.mkdir(parents=True, exist_ok=True)
            _serve_from(self.layout.version(request.endpoint, request.version), request)
            self.index.add("endpoints", request.endpoint, request.project, "deploy")
            if not (owner := self.layout.owner(request.endpoint)).exists():
                _write(owner, {"project": request.project, "created": time.time()})
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
        python = self._python("deploy", request.options)
        interpreter = choose("deploy", request.spec.framework, request.requirements, python)
        return mapping.version_spec(
            request,
            self.layout.version(request.endpoint, request.version),
            python=interpreter.python,
            runtime=self._runtime(),
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
        with self._alone("endpoints", ref.id):
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

    @contextmanager
    def _alone(self, kind: str, name: str) -> Iterator[None]:
        """Keep other clients, and other threads of this one, from creating or deleting the same thing meanwhile.

        The lock lies outside of what it protects, which a deletion removes.
        """
        from cloudops.engine.files import locked

        locks = self.layout.base / "locks"
        locks.mkdir(parents=True, exist_ok=True)
        self.layout.base.chmod(0o700)  # models, data and signed URLs are nobody else's
        with locked(locks / f"{kind}-{name}"):
            yield

    def _runtime(self) -> Path:
        from cloudops.runtime.archive import build

        self.layout.runtime.mkdir(parents=True, exist_ok=True)
        return build(self.layout.runtime)

    def _python(self, step: str, options: Any) -> str | None:
        """The interpreter that the options of a step, else those of the target, name; None for this one."""
        from .interpreters import check

        if options is not None and options.python is not None:
            check(options.python, ("overrides", "local", step, "python"))
            return str(options.python)
        chosen = self.settings.python if self.settings is not None else None
        if chosen is not None:
            check(chosen, ("targets", "python"))
        return chosen


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
        _write(building / "lineage.json", dict(request.model.lineage))
        os.rename(building, folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write(path: Path, value: Any) -> None:
    from cloudops.engine.files import write_json

    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, value)


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
