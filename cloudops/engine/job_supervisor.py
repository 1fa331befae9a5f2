"""The process that runs a job: ``python -m cloudops.engine.job_supervisor FOLDER LOCK SECRETS HELLO``.

LOCK, SECRETS and HELLO are inherited descriptors: the lock of the folder, a pipe with the secrets as a JSON object
(those of the ``job``, those of its ``setup`` alone), and a pipe that gets the word "ok" once the job is in good hands,
or what is wrong.

It is two processes. The upper one, the guardian, only waits: when the supervisor below it is killed, it kills what
the job left (as their new parent it finds even those that left their group and cleared their environment) and
records the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from . import job
from .folders import empty
from .job_attempt import Attempt, Hooks, Outcome, Rules
from .job_folder import DamagedState, JobFolder
from .job_rank import Command, Sinks
from .job_types import MARKER, JobSpec, JobState, Phase
from .job_wishes import Wishes
from .limits import choose_cores, share_gpus, thread_variables
from .log_writer import AppendFile, Log, Mask
from .process import ProcessId, adopt_orphans, descendants, kill_until_gone

_RETRIED = ("failed", "memory")


class Supervisor:
    """Prepares a job, runs its attempts and keeps its state.

    Args:
        folder: of the job; the lock is held.
        secrets: name to value.
        setup_secrets: those that only the set-up gets.
    """

    def __init__(self, folder: JobFolder, secrets: Mapping[str, str], setup_secrets: Mapping[str, str]) -> None:
        spec, state = folder.read_spec(), folder.read_state()
        if spec is None or state is None:
            raise FileNotFoundError(f"there is no job in {folder.path}")
        self.folder, self.spec, self.secrets, self._setup_secrets = folder, spec, secrets, setup_secrets
        self.wishes = Wishes()
        self.state: JobState = replace(state, supervisor=ProcessId.of(os.getpid()))
        self._mask = Mask([*secrets.values(), *setup_secrets.values()])
        self._logs = [Log(folder.log(rank)) for rank in range(spec.ranks)]
        self._metrics = AppendFile(folder.metrics)

    def begin(self) -> None:
        """Make the supervisor known. Raises OSError."""
        self.wishes.listen()
        self.folder.write_state(self.state)

    def run(self) -> None:
        """Run the job to its end and record it, whatever happens."""
        try:
            outcome = self._prepare() or self._attempts()
        except Exception as error:  # a bug of ours must not look like a job that runs
            with contextlib.suppress(OSError):
                traceback.print_exc()
            outcome = Outcome("failed", f"the supervisor failed: {type(error).__name__}: {error}")
        kill_until_gone(lambda: descendants(os.getpid()))
        self._finish(outcome)

    def _prepare(self) -> Outcome | None:
        """Unpack and run the set-up commands; an outcome where that fails."""
        self._publish("preparing")
        try:
            _unpack(self.spec)
        except (OSError, ValueError) as error:
            return Outcome("failed", f"cannot prepare {self.spec.cwd}: {error}")
        for argv in self.spec.setup:
            env = self._environment({MARKER: self.state.id, "CUDA_VISIBLE_DEVICES": "", **self._setup_secrets})
            command = Command(argv, self.spec.cwd, env, name="setup")
            hooks = Hooks(lambda ranks: self._publish("preparing", ranks=ranks), self._stopping, self._still_there)
            sinks = Sinks(self._logs[0], None, self._mask)
            rules = Rules(self.spec.grace, interruptible=False)
            outcome = Attempt([(command, sinks)], rules, self.wishes, hooks).run()
            if outcome.kind != "done":
                return self._unless_cancelled(outcome)
        return None

    def _attempts(self) -> Outcome:
        failures = 0
        while True:
            if self.wishes.cancel:
                return Outcome("cancelled", "cancelled")
            self.wishes.interrupt = False
            outcome = self._unless_cancelled(self._attempt())
            if outcome.kind in _RETRIED and failures < self.spec.retries:
                failures += 1
            elif outcome.kind != "interrupted":
                return outcome
            self._logs[0].note(f"attempt {self.state.attempt} ended: {outcome.reason}; starting it again")
            try:
                for path in self.spec.fresh:
                    empty(Path(path))
            except OSError as error:
                return Outcome("failed", f"cannot empty {path} for another attempt: {error}")

    def _attempt(self) -> Outcome:
        self.state = replace(self.state, attempt=self.state.attempt + 1, started=self.state.started or time.time())
        hooks = Hooks(lambda ranks: self._publish("running", ranks=ranks), self._stopping, self._still_there)
        rules = Rules(self.spec.grace, self.spec.timeout, self.spec.memory)
        commands = [
            (command, Sinks(log, self._metrics, self._mask, self.state.attempt))
            for command, log in zip(self._commands(), self._logs, strict=True)
        ]
        return Attempt(commands, rules, self.wishes, hooks).run()

    def _commands(self) -> list[Command]:
        spec, port = self.spec, str(_free_port())
        cores = choose_cores(spec.cpus, spec.ranks)
        gpus = share_gpus(spec.gpus, spec.ranks)
        common = {
            MARKER: self.state.id,
            "CLOUDOPS_ATTEMPT": str(self.state.attempt),
            "CLOUDOPS_WORLD_SIZE": str(spec.ranks),
            "CLOUDOPS_MASTER_ADDR": "127.0.0.1",
            "CLOUDOPS_MASTER_PORT": port,
        }
        return [
            Command(
                spec.argv,
                spec.cwd,
                self._environment({**common, "CLOUDOPS_RANK": str(rank), "CUDA_VISIBLE_DEVICES": ",".join(gpus[rank])}),
                rank=rank,
                name=f"rank {rank}" if spec.ranks > 1 else "",
                cores=cores[rank],
            )
            for rank in range(spec.ranks)
        ]

    def _environment(self, own: Mapping[str, str]) -> dict[str, str]:
        defaults = {"PYTHONUNBUFFERED": "1", **thread_variables(self.spec.cpus)}
        return {**defaults, **self.spec.env, **self.secrets, **own}

    def _unless_cancelled(self, outcome: Outcome) -> Outcome:
        """``outcome``, or that the job was cancelled while it was stopping for another reason."""
        return outcome if outcome.kind == "done" or not self.wishes.cancel else Outcome("cancelled", "cancelled")

    def _stopping(self, reason: str) -> None:
        self._publish("stopping", reason=reason)

    def _still_there(self) -> bool:
        """Whether the folder is; a state that somebody damaged is written anew."""
        try:
            if self.folder.read_state() != self.state:
                self._publish(self.state.phase)
        except DamagedState:
            self._publish(self.state.phase)
        return self.folder.has_job()

    def _publish(self, phase: Phase, *, reason: str = "", ranks: tuple[ProcessId, ...] | None = None) -> None:
        self.state = replace(self.state, phase=phase, reason=reason, ranks=self.state.ranks if ranks is None else ranks)
        # On a full disk the job goes on; its state is written again with the next change.
        with contextlib.suppress(OSError):
            self.folder.write_state(self.state)

    def _finish(self, outcome: Outcome) -> None:
        phase: Phase = "failed"
        if outcome.kind in ("done", "cancelled"):
            phase = "succeeded" if outcome.kind == "done" else "cancelled"
        for log in self._logs:
            log.close()
        self._metrics.close()
        reason = self._mask(outcome.reason.encode("utf-8", "replace")).decode()
        self.state = replace(
            self.state,
            phase=phase,
            reason=reason,
            exit_code=outcome.exit_code,
            ended=time.time(),
            ranks=(),
            warning=self._warning(),
        )
        self._record()

    def _warning(self) -> str:
        lost = sum(log.lost for log in self._logs)
        problem = next((log.problem for log in self._logs if log.problem), "")
        return f"{lost} lines of the log were lost: {problem}" if lost else ""

    def _record(self) -> None:
        """Write the last state, trying again for as long as there is a folder to write it to."""
        while self.folder.has_job():
            try:
                self.folder.write_state(self.state)
            except OSError:
                time.sleep(1.0)
            else:
                return


def main(arguments: list[str]) -> int:
    """Run the job; see the module's docstring. Returns the exit code."""
    folder = JobFolder(Path(arguments[0]))
    lock, secrets, hello = map(int, arguments[1:])
    adopt_orphans()
    supervisor = os.fork()
    if supervisor == 0:
        return _supervise(folder, secrets, hello)
    for descriptor in (lock, secrets, hello):
        os.close(descriptor)
    return _guard(folder, supervisor)


def _supervise(folder: JobFolder, secrets: int, hello: int) -> int:
    adopt_orphans()
    try:
        with open(secrets, encoding="utf-8") as taking:
            given = json.load(taking)
        supervisor = Supervisor(folder, given["job"], given["setup"])
        supervisor.begin()
    except (OSError, ValueError) as error:
        _tell(hello, f"{error}")
        return 1
    _tell(hello, "ok")
    supervisor.run()
    return 0


def _tell(hello: int, word: str) -> None:
    """Say a word to the client that waits for it; one that is gone by now (Ctrl-C) must not end the job."""
    with contextlib.suppress(BrokenPipeError), open(hello, "w", encoding="utf-8") as telling:
        telling.write(word)


def _guard(folder: JobFolder, supervisor: int) -> int:
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    os.waitpid(supervisor, 0)
    kill_until_gone(lambda: descendants(os.getpid()))
    with contextlib.suppress(FileNotFoundError):
        job.read(folder.path)
    return 0


def _unpack(spec: JobSpec) -> None:
    Path(spec.cwd).mkdir(parents=True, exist_ok=True)
    if spec.archive is None:
        return
    import tarfile

    try:
        with tarfile.open(spec.archive) as archive:
            archive.extractall(spec.cwd, filter="data")
    except tarfile.TarError as error:
        raise ValueError(f"{spec.archive} is damaged ({error}); delete it and submit the job again") from error


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
