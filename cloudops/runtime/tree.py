"""The processes of one command: its group, and what else it started in the session of this process.

What leaves the session (a daemon) is left to whoever is above: the engine, or the end of the container.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Iterator

_PR_SET_CHILD_SUBREAPER = 36
_POLL = 0.02


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends (Linux; nothing elsewhere)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def tell(leader: int, number: int) -> None:
    """Send signal ``number`` once to every process of the command whose group ``leader`` leads or led."""
    members = list(_members(leader))  # before the first of them reacts
    if any(group == leader for _, group in members):
        _signal(-leader, number)  # in one go, so that none forks away meanwhile
    for pid, group in members:
        if group != leader:
            _signal(pid, number)


def wait_for(leader: int) -> int:
    """Wait until the child ``leader`` has ended and return its exit code, -n for signal n; collects orphans too."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == leader:
            return os.waitstatus_to_exitcode(status)


def wait_for_all(leader: int) -> None:
    """Wait until no process of the command is left; its leader was collected already."""
    while _left(leader):
        time.sleep(_POLL)


def kill(leader: int) -> None:
    """End at once what is left of the command."""
    if _left(leader):
        tell(leader, signal.SIGKILL)


def _left(leader: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    return any(True for _ in _members(leader))


def _members(leader: int) -> Iterator[tuple[int, int]]:
    """The running processes of the command as (pid, group); without /proc its group alone stands for them."""
    table = _table()
    if table:
        yield from _descendants(table)
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM where all are zombies
            os.killpg(leader, 0)
            yield leader, leader


def _descendants(table: dict[int, tuple[int, int, int]]) -> Iterator[tuple[int, int]]:
    children: dict[int, list[int]] = {}
    for pid, (parent, _, _) in table.items():
        children.setdefault(parent, []).append(pid)
    session, queue = os.getsid(0), list(children.get(os.getpid(), ()))
    for pid in queue:
        queue += children.get(pid, ())
        if table[pid][2] == session:
            yield pid, table[pid][1]


def _table() -> dict[int, tuple[int, int, int]]:
    """Every running process as pid -> (parent, group, session), zombies left out; empty without /proc."""
    found = {}
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if name.isdigit():
                    state, *numbers = _stat(name)
                    if state not in "ZX":
                        found[int(name)] = (int(numbers[0]), int(numbers[1]), int(numbers[2]))
    return found


def _stat(pid: str) -> list[str]:
    """State, parent, group and session of a process: the fields after its name, which may hold blanks (proc(5))."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()[:4]


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
