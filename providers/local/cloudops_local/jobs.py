"""Jobs of this machine: their folders and the engine's supervisors. Only this module drives the engine's jobs."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudops.engine.folders import remove
from cloudops.errors import ProviderError
from cloudops.refs import LogLine, Ref

from .files import read, write
from .layout import JobFolder
from .workplace import Workplace

if TYPE_CHECKING:
    from cloudops.engine.job import JobSpec, JobState
    from cloudops.provider import BatchRequest, Input, JobRequest

#: Seconds that a job or an endpoint may take to end before its deletion is given up.
_ENDING = 60.0
#: Seconds within which a job's supervisor says that it is stopping it.
_HEEDED = 1.0


class Jobs(Workplace):
    """The jobs of a project folder."""

    def start_job(self, request: JobRequest) -> None:
        """Write the job's folder and start its supervisor; a job of that name that is there is left alone."""
        self._start(request, self.job_spec(request), request.inputs)

    def start_batch(self, request: BatchRequest) -> None:
        """The same for a job that predicts."""
        self._start(request, self.batch_spec(request), {"data": request.data})

    def _start(self, request: JobRequest | BatchRequest, spec: JobSpec, inputs: Mapping[str, Input]) -> None:
        from cloudops.engine import job

        from . import mapping

        folder = self.layout.job(request.name)
        building = mapping.index_credentials(self.environ) if spec.setup else {}
        setup = {**building, **mapping.source_secrets(inputs, self.environ)}
        with self.alone("jobs", request.name):
            if self.has_job(request.name):
                return
            self._write_job(request, folder, inputs)
            self.index.add("jobs", request.name, request.lineage.project, request.step)
            job.start(folder.run, spec, request.secrets, setup_secrets=setup)

    def _write_job(self, request: JobRequest | BatchRequest, folder: JobFolder, inputs: Mapping[str, Input]) -> None:
        from cloudops.provider import JobRequest

        from . import mapping

        folders = [folder.model, folder.output, folder.code, folder.run]
        if isinstance(request, JobRequest):
            checkpoints = self.layout.checkpoints(request.checkpoint or request.name)
            folders += [checkpoints, *(folder.named_output(name) for name in request.spec.outputs)]
            write(folder.contract, mapping.contract(request, folder, checkpoints))
        else:
            folders.append(folder.named_output("predictions"))
        for path in folders:
            path.mkdir(parents=True, exist_ok=True)
        write(folder.lineage, {**asdict(request.lineage), "requirements": request.requirements})
        if stages := mapping.stages(inputs, folder):
            write(folder.path / "stages.json", stages)

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

    def job_spec(self, request: JobRequest) -> JobSpec:
        """What the engine would run for a request. Raises what stands in its way on this machine."""
        from . import mapping
        from .interpreters import choose
        from .machine import fits, gpu_ids

        fits(request.step, request.spec.resources, self.layout.root, request.spec.resources.num_nodes)
        python = self.python(request.step, request.options)
        interpreter = choose(request.step, request.spec.framework, request.requirements, python)
        folder = self.layout.job(request.name)
        return mapping.job_spec(
            request,
            folder,
            python=interpreter.python,
            runtime=self.runtime(),
            setup=[*interpreter.setup, *self._staging(request.inputs, folder)],
            gpus=gpu_ids(request.step, request.spec.resources.accelerators),
            environ=self.environ,
        )

    def batch_spec(self, request: BatchRequest) -> JobSpec:
        """What the engine would run for predictions. Raises what stands in its way on this machine."""
        from . import mapping
        from .interpreters import choose
        from .machine import fits, gpu_ids

        fits("batch", request.spec.resources, self.layout.root, 1)
        python = self.python("batch", request.options)
        interpreter = choose("batch", request.spec.framework, request.requirements, python)
        folder = self.layout.job(request.name)
        return mapping.batch_spec(
            request,
            folder,
            python=interpreter.python,
            runtime=self.runtime(),
            setup=[*interpreter.setup, *self._staging({"data": request.data}, folder)],
            gpus=gpu_ids("batch", request.spec.resources.accelerators),
            environ=self.environ,
        )

    def _staging(self, inputs: Mapping[str, Input], folder: JobFolder) -> list[tuple[str, ...]]:
        from . import mapping

        if not mapping.stages(inputs, folder):
            return []
        plan, store = str(folder.path / "stages.json"), str(self.layout.store)
        return [(sys.executable, "-m", "cloudops_local.stage", plan, store)]

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
        with self.alone("jobs", ref.id):
            state = job.cancel(folder.run, wait=_ENDING) if folder.run.exists() else None
            if state is not None and not state.final:
                raise RuntimeError(f"{ref.id} does not end: it is {state.phase} after {_ENDING:g} s; delete it again")
            checkpoints = self._checkpoints(ref.id)
            if checkpoints is not None and not self._shared(checkpoints, ref.id):
                remove(checkpoints)
            remove(folder.path)
            self.index.remove("jobs", ref.id)

    def _checkpoints(self, name: str) -> Path | None:
        contract = read(self.layout.job(name).contract)
        return Path(contract["checkpoint_dir"]) if contract else None

    def _shared(self, checkpoints: Path, name: str) -> bool:
        """Whether another try than ``name`` of the intent that named the checkpoints has them too."""
        others = (other for _, other in self.attempts(checkpoints.name) if other != name)
        return any(self._checkpoints(other) == checkpoints for other in others)

    def lineage(self, name: str) -> dict[str, Any]:
        """``lineage.json`` of a job; empty when it is gone. Raises ProviderError where it is damaged."""
        path = self.layout.job(name).lineage
        found = read(path)
        if found is None and path.exists():
            hint = "nothing can be said of where its model comes from: train it again with --new"
            raise ProviderError(f"{path} is damaged", provider="local", hint=hint)
        return found or {}
