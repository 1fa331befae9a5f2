"""Processes of our own: started detached, told apart from recycled ids, and ended with all their children."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Late, wherever it is used: reading the state of a job must not pay for it.
    import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class ProcessId:
    """A process that cannot be confused with a later one of the same number.

    ``started`` is its start in epoch seconds. ``stamp`` says the same in a way that setting the clock does not
    change: the boot of the machine and the ticks since then; empty where the system does not tell.
    """

    pid: int
    started: float
    stamp: str = field(default="", compare=False)

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """The identity of the running process ``pid``.

        Raises:
            ProcessLookupError: there is no such process.
        """
        ticks = _ticks(pid)
        if ticks is not None:
            return cls(pid, _epoch(ticks), f"{_boot()}:{ticks}")
        import psutil

        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess as error:
            raise ProcessLookupError(pid) from error

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> ProcessId | None:
        """The identity that :meth:`to_json` wrote, or None."""
        return cls(int(value["pid"]), float(value["started"]), str(value.get("stamp", ""))) if value else None

    def to_json(self) -> dict[str, Any]:
        """A JSON object with ``pid``, ``started`` and ``stamp``."""
        return asdict(self)

    def alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        if self.stamp:
            return self.stamp == f"{_boot()}:{_ticks(self.pid)}"
        import psutil

        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 0.05
            return same and bool(process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    def send(self, number: int) -> bool:
        """Send a signal to this very process; False when it is gone."""
        try:
            with _handle(self.pid) as deliver:
                # The handle was opened before this look, so the number cannot be given away in between.
                if not self.alive():
                    return False
                deliver(number)
        except ProcessLookupError:
            return False
        return True

    def younger_or_same(self, process: psutil.Process) -> bool:
        """Whether ``process`` started when this one did or later, within the same boot."""
        boot, _, ticks = self.stamp.rpartition(":")
        other = _ticks(process.pid)
        if boot and other is not None:
            return boot == _boot() and other >= int(ticks)
        return bool(process.create_time() >= self.started - 0.05)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the thread that spawned it ends (Linux; nothing elsewhere)."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends (Linux; nothing elsewhere)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def spawn_detached(
    argv: Sequence[str],
    *,
    log: Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> int:
    """Start ``argv`` in a session of its own, so that it outlives this process and its terminal.

    Standard input is empty, standard output and error are appended to ``log``. Returns the process id.

    Raises:
        OSError: the program cannot be started.
    """
    import subprocess

    with log.open("ab") as sink:
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
            pass_fds=tuple(pass_fds),
        )
    # The child is meant to outlive us: without this, Popen warns when it is collected.
    process.returncode = 0
    return process.pid


def end_group(process: ProcessId | None, *, grace: float) -> None:
    """End the process group led by ``process``: SIGTERM, then SIGKILL after ``grace`` seconds; silent when gone.

    A leader that is gone may have left members of its group behind; they are killed too, as long as the
    group's number was not given to somebody else's session.
    """
    if process is None:
        return
    if grace > 0:
        members = group_members(process)
        signal_all(members, signal.SIGTERM)
        _wait_until_ended(members, grace)
    kill_until_gone(lambda: group_members(process))


def group_members(leader: ProcessId) -> list[psutil.Process]:
    """The processes of the group that ``leader`` leads or led, none that started before it, with descendants."""
    import psutil

    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == leader.pid and leader.younger_or_same(process):
                found[process.pid] = process
                for child in process.children(recursive=True):
                    found[child.pid] = child
    return list(found.values())


def descendants(pid: int) -> list[psutil.Process]:
    """The running processes below ``pid``, zombies left out."""
    import psutil

    with contextlib.suppress(psutil.NoSuchProcess):
        return [child for child in psutil.Process(pid).children(recursive=True) if running(child)]
    return []


def environments(variable: str) -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    """The processes that have ``variable`` in their environment, as far as this user may look."""
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            environment = process.environ()
            if variable in environment:
                yield process, environment


def kill_until_gone(find: Callable[[], list[psutil.Process]], *, timeout: float = 5.0) -> bool:
    """SIGKILL what ``find`` returns until it returns nothing that runs (a tree may fork while it is being killed).

    Returns False where something still runs after ``timeout`` seconds (it hangs in the kernel).
    """
    deadline = time.monotonic() + timeout
    while left := [process for process in find() if running(process) and process.pid != os.getpid()]:
        if time.monotonic() >= deadline:
            return False
        signal_all(left, signal.SIGKILL)
        time.sleep(0.005)
    return True


def signal_all(processes: Sequence[psutil.Process], number: int) -> None:
    """Send a signal to each of the processes; silent for those that are gone."""
    import psutil

    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def running(process: psutil.Process) -> bool:
    """Whether the process still runs (a zombie does not)."""
    import psutil

    with contextlib.suppress(psutil.Error):
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    return False


def _wait_until_ended(processes: Sequence[psutil.Process], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline and any(running(process) for process in processes):
        time.sleep(0.02)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(option, value)


@contextlib.contextmanager
def _handle(pid: int) -> Iterator[Callable[[int], None]]:
    """A way to signal ``pid`` that cannot reach a later process of that number (where the system has one)."""
    if not hasattr(os, "pidfd_open"):
        yield lambda number: os.kill(pid, number)
        return
    descriptor = os.pidfd_open(pid)
    try:
        yield lambda number: signal.pidfd_send_signal(descriptor, number)
    finally:
        os.close(descriptor)


def _ticks(pid: int) -> int | None:
    """When ``pid`` started, in clock ticks since the boot; None for no such process, a zombie, or no /proc."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return None
    # The second field, the name, may hold blanks and brackets; proc(5): state is the 3rd field, starttime the 22nd.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


@functools.cache
def _boot() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _epoch(ticks: int) -> float:
    """Ticks since the boot as epoch seconds, computed as psutil does."""
    lines = Path("/proc/stat").read_text(encoding="ascii").splitlines()
    booted = next(int(line.split()[1]) for line in lines if line.startswith("btime"))
    return booted + ticks / os.sysconf("SC_CLK_TCK")
