"""Jobs on this machine: started detached in a folder of their own, and found again through that folder alone.

A job is run by a supervisor process that outlives the client. Its folder holds ``job.json`` (the spec),
``state.json``, ``logs/rank-<n>.log``, ``metrics.jsonl`` and ``supervisor.log``. A supervisor that is killed takes its
job with it: the kernel ends the ranks, and the supervisor's guardian, or failing that whoever next reads the state,
ends what they had started and records the job as failed.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from .files import Lock, locked
from .job_folder import DamagedState, JobFolder
from .job_types import FINAL, MARKER, JobSpec, JobState, MetricLine, Phase

if TYPE_CHECKING:
    import psutil

__all__ = [
    "FINAL",
    "JobSpec",
    "JobState",
    "MetricLine",
    "Phase",
    "cancel",
    "interrupt",
    "log_tail",
    "metrics",
    "read",
    "spec",
    "start",
    "wait",
]

_NO_SECRETS: Mapping[str, str] = MappingProxyType({})


def start(
    directory: Path,
    spec: JobSpec,
    secrets: Mapping[str, str] = _NO_SECRETS,
    *,
    setup_secrets: Mapping[str, str] = _NO_SECRETS,
    on_exists: Literal["return", "raise"] = "return",
) -> bool:
    """Start a job in ``directory`` (made when missing) and return once its supervisor runs.

    Of two calls at once, one starts the job. Secrets go through a pipe into the environment of the job's processes
    and nowhere else, ``setup_secrets`` into that of its set-up alone; logs show them as ``***``.

    Returns:
        Whether this call started it; False where the directory has a job already, which is left alone.

    Raises:
        FileExistsError: it has one, and ``on_exists`` is "raise".
        OSError: the folder cannot be written.
        RuntimeError: the supervisor did not start; the message says why.
    """
    folder = JobFolder(Path(directory).absolute())
    folder.logs.mkdir(parents=True, exist_ok=True)
    with locked(folder.guard):
        lock = Lock(folder.lock)
        if _taken(folder, lock):
            lock.release()
            if on_exists == "raise":
                raise FileExistsError(f"{folder.path} has a job already; choose another folder")
            return False
        try:
            folder.write_state(JobState("pending", created=time.time(), id=os.urandom(16).hex()))
            folder.write_spec(spec)
            _launch(folder, lock, {"job": dict(secrets), "setup": dict(setup_secrets)})
        except Exception:  # not on Ctrl-C: the supervisor may be at work by then
            folder.forget()
            raise
        finally:
            lock.release()
    return True


def spec(directory: Path) -> JobSpec:
    """What the job in ``directory`` runs.

    Raises:
        FileNotFoundError: there is no job.
        ValueError: its ``job.json`` is damaged.
    """
    found = JobFolder(directory).read_spec()
    if found is None:
        raise _missing(directory)
    return found


def read(directory: Path) -> JobState:
    """Where the job in ``directory`` stands.

    A job whose supervisor is gone is never reported as running: what it left is killed, and it is recorded as failed.

    Raises:
        FileNotFoundError: there is no job.
    """
    folder = JobFolder(Path(directory))
    state = _stored(folder)
    if state is None:
        raise _missing(directory)
    if state.final or Lock(folder.lock).held_by_someone():
        return state
    return _settle(folder)


def cancel(directory: Path, *, wait: float = 0.0) -> JobState | None:
    """Ask the job to stop; nothing happens where it has ended, or where there is none.

    Its processes get SIGTERM, so that they can save their work, and SIGKILL when the spec's ``grace`` is over.

    Args:
        directory: the job's folder.
        wait: seconds to wait for the end.

    Returns:
        The state afterwards, which is not final when ``wait`` was too short; None where there is no job.
    """
    try:
        state = _told(directory, signal.SIGUSR1)
        deadline = time.monotonic() + wait
        while not state.final and time.monotonic() < deadline:
            time.sleep(0.02)
            state = read(directory)
    except FileNotFoundError:
        return None
    return state


def interrupt(directory: Path) -> bool:
    """Do to a running job what a cloud does when it takes a spot machine away.

    Its processes get SIGTERM, and SIGKILL when the grace is over; then they are started again in the same place.
    That uses up no retry. Returns False where no attempt runs.

    Raises:
        FileNotFoundError: there is no job.
    """
    return _told(directory, signal.SIGUSR2).phase == "running"


def wait(
    directory: Path,
    timeout: float | None = None,
    *,
    poll: float = 0.1,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> JobState:
    """The state of the job once it has ended.

    Raises:
        TimeoutError: it has not after ``timeout`` seconds; it goes on.
        FileNotFoundError: there is no job.
    """
    begun = clock()
    while not (state := read(directory)).final:
        if timeout is not None and clock() - begun >= timeout:
            raise TimeoutError(f"the job in {directory} is {state.phase} after {timeout:g} s; it goes on")
        sleep(poll)
    return state


def metrics(directory: Path) -> list[MetricLine]:
    """What the job logged so far, in order."""
    try:
        lines = JobFolder(Path(directory)).metrics.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for line in lines:
        # The last line may be half written at this moment.
        with contextlib.suppress(ValueError, TypeError):
            found.append(MetricLine(**json.loads(line)))
    return found


def log_tail(directory: Path, count: int = 20) -> list[str]:
    """The texts of the last ``count`` lines of the job's log."""
    from . import logs

    return [record.text for record in logs.read(Path(directory), tail=count)]


def _taken(folder: JobFolder, lock: Lock) -> bool:
    """Whether the folder has a job. If not, ``lock`` is held afterwards.

    A client that was killed halfway through :func:`start` leaves a job that no supervisor ever had: it is none.
    """
    if not lock.acquire():
        return True
    state = _stored(folder)
    return state is not None and (state.phase != "pending" or state.supervisor is not None)


def _launch(folder: JobFolder, lock: Lock, secrets: Mapping[str, Mapping[str, str]]) -> None:
    """Start the supervisor with the lock, hand it the secrets, and wait for its word."""
    from .process import spawn_detached

    assert lock.descriptor is not None
    secrets_in, secrets_out = os.pipe()
    hello_in, hello_out = os.pipe()
    descriptors = (lock.descriptor, secrets_in, hello_out)
    with open(secrets_out, "w", encoding="utf-8") as giving, open(hello_in, encoding="utf-8") as hello:
        try:
            command = [sys.executable, "-P", "-m", "cloudops.engine.job_supervisor", str(folder.path)]
            spawn_detached([*command, *map(str, descriptors)], log=folder.supervisor_log, pass_fds=descriptors)
        finally:
            os.close(secrets_in)
            os.close(hello_out)
        with contextlib.suppress(BrokenPipeError):
            giving.write(json.dumps(secrets))
            giving.close()
        word = hello.read()
    if word != "ok":
        raise RuntimeError(f"the job in {folder.path} could not be started: {word or _last_cry(folder)}")


def _last_cry(folder: JobFolder) -> str:
    lines = folder.supervisor_log.read_text(encoding="utf-8", errors="replace").splitlines()
    return lines[-1] if lines else f"its supervisor ended without a word (see {folder.supervisor_log})"


def _stored(folder: JobFolder) -> JobState | None:
    """The state as it is kept; a damaged one of a job says so in its reason."""
    try:
        state = folder.read_state()
    except DamagedState as error:
        return JobState("running", reason=f"{error}; it is written anew when the job ends")
    return JobState("pending") if state is None and folder.has_job() else state


def _settle(folder: JobFolder) -> JobState:
    """Record the end of a job whose supervisor is gone, once, and kill what it left."""
    with locked(folder.guard):
        state = _stored(folder)
        if state is None:
            raise _missing(folder.path)
        if state.final or Lock(folder.lock).held_by_someone():
            return state
        _kill_leftovers(state)
        state = replace(state, phase="failed", reason=_loss(state), ended=time.time(), exit_code=None, ranks=())
        # On a disk that cannot be written the next reader comes to the same result.
        with contextlib.suppress(OSError):
            folder.write_state(state)
        return state


def _loss(state: JobState) -> str:
    if state.supervisor is not None:
        return "lost: its supervisor was killed"
    if state.phase == "pending":
        return "lost: its client was killed before it had started it"
    return f"lost: its supervisor was killed, and {state.reason.partition(';')[0]}"


def _kill_leftovers(state: JobState) -> None:
    from .process import end_group, environments, kill_until_gone

    for rank in state.ranks:
        end_group(rank, grace=0)

    def marked() -> list[psutil.Process]:
        return [process for process, environment in environments(MARKER) if environment[MARKER] == state.id]

    if state.id:
        kill_until_gone(marked)


def _told(directory: Path, number: int) -> JobState:
    """The state of the job, after a signal to its supervisor if it has not ended."""
    state = read(directory)
    deadline = time.monotonic() + 10.0
    while not state.final and state.supervisor is None and time.monotonic() < deadline:
        time.sleep(0.01)  # it is being started at this moment
        state = read(directory)
    if not state.final and state.supervisor is not None:
        state.supervisor.send(number)
    return state


def _missing(directory: Any) -> FileNotFoundError:
    return FileNotFoundError(f"there is no job in {directory}")
