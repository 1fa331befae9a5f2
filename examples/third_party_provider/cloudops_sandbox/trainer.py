"""The training role: a job is a folder and a process."""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cloudops.errors import NoCapacity, NotFound
from cloudops.provider import JobRequest, ModelInfo, Plan, Trainer
from cloudops.refs import Listed, LogLine, MetricPoint, Phase, Ref, Status
from cloudops.runtime.archive import build
from cloudops.runtime.metrics import parse_line
from cloudops.store.snapshot import unpack

from . import files

# The runtime gives the job its environment and runs its command; the shell keeps the exit code.
_SHELL = '"$@"; echo $? > exit.part && mv exit.part exit'


class SandboxTrainer(Trainer):
    """Jobs below ``base``; the folder of one has ``record.json`` once it was submitted."""

    def __init__(self, base: Path) -> None:
        self.base = base

    def plan(self, request: JobRequest) -> Plan:
        """Nothing is created: the native request is the process that would be started."""
        _fits(request)
        native = {"argv": self._argv(request.name, Path("runtime.pyz")), "environment": dict(request.spec.envs)}
        native["job"] = self._contract(request)
        return Plan([f"the job {request.name}"], native, cost="no charge: this machine")

    def submit(self, request: JobRequest) -> Ref:
        """Idempotent: the folder's name is the job's, and whoever comes second finds it."""
        _fits(request)
        with files.alone(self.base):
            if self.find(request.name) is None:
                self._start(request)
        return self._ref(request.name)

    def find(self, name: str) -> Ref | None:
        """A job is there once its record is."""
        return self._ref(name) if (self._path(name) / "record.json").exists() else None

    def status(self, ref: Ref) -> Status:
        """Told by what the job left: a lock that is held, an exit code, a wish to cancel; or nothing, if killed."""
        folder, record = self._folder(ref), self._record(ref)
        running = files.alive(folder)  # looked at first: a job that ends now has written its exit code
        wish, code = folder / "cancelled", files.read(folder / "exit")
        if running:
            return _status(record, Phase.STOPPING if wish.exists() else Phase.RUNNING)
        if code is not None:
            phase = Phase.FAILED if code else Phase.SUCCEEDED
            reason = f"its command ended with exit code {code}" if code else ""
            return _status(record, phase, reason, ended=(folder / "exit").stat().st_mtime, exit_code=code)
        if wish.exists():
            return _status(record, Phase.CANCELLED, ended=wish.stat().st_mtime)
        return _status(record, Phase.FAILED, "lost: its processes were killed")

    def logs(self, ref: Ref, *, follow: bool = False, tail: int | None = None) -> Iterator[LogLine]:
        """One file; the time of a line is when the file was last written."""
        path = self._folder(ref) / "log"
        return lines(path, (lambda: files.alive(path.parent)) if follow else None, tail, "rank-0")

    def metrics(self, ref: Ref) -> list[MetricPoint]:
        """A job logs metrics as lines that the runtime knows."""
        found = [parse_line(line.text) for line in self.logs(ref)]
        return [MetricPoint(each.name, each.value, step=each.step) for each in found if each]

    def outputs(self, ref: Ref) -> Mapping[str, str]:
        """Paths are taken as inputs here."""
        folder = self._folder(ref) / "outputs"
        return {path.name: str(path) for path in sorted(folder.iterdir())}

    def cancel(self, ref: Ref) -> None:
        """The wish is written before the signal, so that a job which ends of it is seen as cancelled."""
        folder = self._folder(ref)
        if files.alive(folder):
            (folder / "cancelled").touch()
            files.signal(folder, signal.SIGTERM)

    def delete(self, ref: Ref) -> None:
        """Silent when it is gone."""
        folder = self._path(ref.id)
        with files.alone(self.base):
            if self.find(ref.id) is not None:
                shutil.rmtree(self._record(ref)["checkpoints"], ignore_errors=True)
                files.remove(folder)

    def jobs(self, project: str | None = None) -> Iterator[Listed]:
        """Newest first."""
        records = [record for path in self.base.glob("jobs/*/record.json") if (record := files.read(path))]
        for record in sorted(records, key=lambda record: -record["created"]):
            ref, made_for = self._ref(record["name"]), record["lineage"]["project"]
            if project in (None, made_for):
                with contextlib.suppress(NotFound):  # deleted meanwhile
                    yield Listed(ref, self.status(ref).phase, record["created"], made_for, record["step"])

    def model(self, ref: Ref) -> ModelInfo:
        """The content of the job's model folder."""
        folder, record = self._folder(ref), self._record(ref)
        status = self.status(ref)
        if status.phase is not Phase.SUCCEEDED or not any((folder / "model").iterdir()):
            raise NotFound(f"the job {ref.id} has no model: it is {status.phase}", provider="sandbox", ref=ref)
        metrics = {point.name: point.value for point in self.metrics(ref)}
        return ModelInfo(self._ref(ref.id, "models"), str(folder / "model"), record["lineage"], metrics, status.ended)

    def models(self, project: str | None = None) -> Iterator[ModelInfo]:
        """Those of succeeded training jobs, newest first."""
        for job in self.jobs(project):
            with contextlib.suppress(NotFound):
                if job.step == "train":
                    yield self.model(job.ref)

    def _start(self, request: JobRequest) -> None:
        folder, contract = self._path(request.name), self._contract(request)
        shutil.rmtree(folder, ignore_errors=True)  # what a client left that was killed at this point
        with files.starting(folder) as lock:
            self._write(folder, contract, request)
            nice = request.options.nice if request.options else 0
            argv = self._argv(request.name, build(self.base))
            files.start(folder, lock, argv, files.environment(request.spec.envs), nice)

    def _write(self, folder: Path, contract: dict[str, Any], request: JobRequest) -> None:
        (folder / "code").mkdir()
        unpack(request.code.archive, folder / "code")
        for name in ("model", "outputs", *(f"outputs/{name}" for name in request.spec.outputs)):
            (folder / name).mkdir()
        for name, item in request.inputs.items():
            if contract["inputs"][name] != item.source:
                _gather(Path(item.source), Path(contract["inputs"][name]))
        files.write(folder / "job.json", contract)
        lineage = asdict(request.lineage)
        files.write(folder / "lineage.json", lineage)
        record = {"name": request.name, "step": request.step, "created": time.time(), "lineage": lineage}
        files.write(folder / "record.json", {**record, "checkpoints": contract["checkpoint_dir"]})

    def _argv(self, name: str, runtime: Path) -> list[str]:
        job = str(self._path(name) / "job.json")
        return ["/bin/sh", "-c", _SHELL, "sh", sys.executable, str(runtime), "train", job]

    def _contract(self, request: JobRequest) -> dict[str, Any]:
        """The job as the runtime reads it: see :mod:`cloudops.runtime.contract`."""
        folder = self._path(request.name)
        globs = {name: str(folder / "inputs" / name) for name, item in request.inputs.items() if "*" in item.source}
        return {
            "command": request.spec.command,
            "code": str(folder / "code"),
            "inputs": {name: globs.get(name, item.source) for name, item in request.inputs.items()},
            "outputs": {name: str(folder / "outputs" / name) for name in request.spec.outputs},
            "params": dict(request.spec.params),
            "model_dir": str(folder / "model"),
            "output_dir": str(folder / "output"),
            "checkpoint_dir": str(self.base / "checkpoints" / (request.checkpoint or request.name)),
        }

    def _ref(self, name: str, kind: str = "jobs") -> Ref:
        return Ref("sandbox", str(self.base).strip("/"), kind, name)

    def _path(self, name: str) -> Path:
        return self.base / "jobs" / name

    def _folder(self, ref: Ref) -> Path:
        if self.find(ref.id) is None:
            raise NotFound(f"there is no job {ref.id} in {self.base}", provider="sandbox", ref=ref)
        return self._path(ref.id)

    def _record(self, ref: Ref) -> Any:
        return files.read(self._folder(ref) / "record.json")


def lines(path: Path, going_on: Callable[[], bool] | None, tail: int | None, source: str) -> Iterator[LogLine]:
    """The lines of a log file; while ``going_on()`` says so, those to come too."""
    texts = _texts(path, going_on)
    if tail is not None and going_on is None:
        texts = iter(list(texts)[-tail:] if tail else [])
    return (LogLine(path.stat().st_mtime, text, source) for text in texts)


def _texts(path: Path, going_on: Callable[[], bool] | None) -> Iterator[str]:
    rest = b""
    with open(path, "rb") as file:
        while True:
            last = going_on is None or not going_on()  # looked at first: what is read then is all there will be
            *whole, rest = (rest + file.read()).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)
            if last:
                break
            time.sleep(0.1)
    if rest:
        yield rest.decode(errors="replace")


def _status(
    record: Any, phase: Phase, reason: str = "", ended: float | None = None, exit_code: int | None = None
) -> Status:
    created = record["created"]
    return Status(phase, reason, str(phase), created, created, ended, exit_code, attempt=1)


def _fits(request: JobRequest) -> None:
    wanted, there = request.spec.resources.cpus, os.cpu_count() or 1
    if wanted is not None and wanted.value > there:
        message = f"{request.step}.resources.cpus: {wanted} are asked for, and this machine has {there}"
        raise NoCapacity(message, provider="sandbox", operation="submit")


def _gather(pattern: Path, target: Path) -> None:
    """Make the files that a pattern matches one folder."""
    target.mkdir(parents=True)
    for found in glob.glob(str(pattern), recursive=True):
        (target / Path(found).name).symlink_to(found)
