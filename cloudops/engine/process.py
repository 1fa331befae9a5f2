"""Processes of our own: started detached, told apart from recycled ids, and ended with all their children."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class ProcessId:
    """A process that cannot be confused with a later one of the same number: id and start time (epoch seconds)."""

    pid: int
    started: float

    @classmethod
    def of(cls, pid: int) -> ProcessId:
        """The identity of the running process ``pid``.

        Raises:
            ProcessLookupError: there is no such process.
        """
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess as error:
            raise ProcessLookupError(pid) from error

    @classmethod
    def from_json(cls, value: Mapping[str, Any] | None) -> ProcessId | None:
        """The identity that :meth:`to_json` wrote, or None."""
        return cls(int(value["pid"]), float(value["started"])) if value else None

    def to_json(self) -> dict[str, Any]:
        """A JSON object with ``pid`` and ``started``."""
        return asdict(self)

    def alive(self) -> bool:
        """Whether this very process still runs (a zombie does not)."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < 0.05
            return same and bool(process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False


def die_with_parent() -> None:
    """Ask the kernel to kill this process when the thread that spawned it ends (Linux; nothing elsewhere)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


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
    members = group_members(process)
    _signal_all(members, signal.SIGTERM)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and any(_running(member) for member in members):
        time.sleep(0.02)
    _signal_all(group_members(process), signal.SIGKILL)


def group_members(leader: ProcessId) -> list[psutil.Process]:
    """The processes of the group that ``leader`` leads or led, none that started before it, with descendants."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            if os.getpgid(process.pid) == leader.pid and process.create_time() >= leader.started - 0.05:
                found[process.pid] = process
                for child in process.children(recursive=True):
                    found[child.pid] = child
    return list(found.values())


def _signal_all(processes: Sequence[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(number)


def _running(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    return False
