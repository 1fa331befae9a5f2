"""One command in a process group of its own: signals are passed on, and nothing of it outlives this process."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Callable, Optional

from . import tree
from .errors import Problem

_PR_SET_PDEATHSIG = 1
_LAST_WORDS = 5.0  # seconds that what outlives the command may hold its standard error open
_FORWARDED = (signal.SIGTERM, signal.SIGINT)


def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str],
    cwd: str,
    errors: Optional[Callable[[bytes], None]] = None,
) -> int:
    """Run ``argv`` to its end and return its exit code, 128 + n where signal n ended it.

    SIGTERM and SIGINT go to every process of the command, once, and from then on the end is that of the last of them:
    who saves its work is not cut short because its shell has gone. Whoever is above decides how long that may take.
    What a command that ends by itself leaves running is killed, as the end of a container would. On Linux the kernel
    kills the command's first process when this one dies. To be called in the main thread of a process that has no other
    children.

    ``errors`` is given what the command writes to standard error, which goes to ours as well.

    Raises:
        Problem: the program cannot be started.
    """
    relay = _Relay()
    tree.adopt_orphans()
    with _handlers(relay):
        child = _start(argv, env, cwd, subprocess.PIPE if errors else None)
        with _copied(child.stderr, errors):
            relay.reaches(child.pid)
            child.returncode = code = tree.wait_for(child.pid)
            if relay.told:
                tree.wait_for_all(child.pid)
            tree.kill(child.pid)
    return code if code >= 0 else 128 - code


def described(code: int) -> str:
    """An exit code in words: ``exit code 3``, ``signal 9 (SIGKILL)``."""
    with contextlib.suppress(ValueError):
        if code > 128:
            return f"signal {code - 128} ({signal.Signals(code - 128).name})"
    return f"exit code {code}"


class _Relay:
    """A signal handler that passes each signal on once, those that came too early as soon as the command runs."""

    def __init__(self) -> None:
        self.told = False
        self._leader: Optional[int] = None
        self._pending: list[int] = []

    def __call__(self, number: int, _frame: Any) -> None:
        self._pending.append(number)
        if self._leader is not None:
            self.reaches(self._leader)

    def reaches(self, leader: int) -> None:
        self._leader = leader
        with contextlib.suppress(IndexError):  # a signal that comes meanwhile takes what is pending
            while True:
                number = self._pending.pop(0)
                self.told = True
                tree.tell(leader, number)


@contextlib.contextmanager
def _copied(source: Optional[IO[bytes]], errors: Optional[Callable[[bytes], None]]) -> Iterator[None]:
    """Show and hand on what comes from ``source`` during the block, in a thread: after the fork it does no harm."""
    if source is None or errors is None:
        yield
        return
    copier = threading.Thread(target=_copy, args=(source, errors), daemon=True)
    copier.start()
    yield
    copier.join(_LAST_WORDS)


def _copy(source: IO[bytes], errors: Callable[[bytes], None]) -> None:
    with source:
        while data := os.read(source.fileno(), 65536):
            errors(data)
            sys.stderr.buffer.write(data)
            sys.stderr.flush()


def _start(argv: Sequence[str], env: Mapping[str, str], cwd: str, stderr: int | None) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(argv, env=dict(env), cwd=cwd, stderr=stderr, preexec_fn=_own_group())  # noqa: PLW1509 - no threads here
    except FileNotFoundError as error:
        missing = f"the folder {cwd}" if not os.path.isdir(cwd) else argv[0]
        raise Problem(f"cannot start the command: {missing} does not exist") from error
    except OSError as error:
        hint = "; a parameter or a path of 128 KiB or more?" if error.errno == 7 else ""
        raise Problem(f"cannot start the command: {error.strerror}{hint}") from error


def _own_group() -> Callable[[], None]:
    # Looked up before the fork: between fork and exec nothing may import or allocate locks.
    prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None
    parent = os.getpid()

    def prepare() -> None:
        os.setpgid(0, 0)
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != parent:  # it died before it could be watched
                os.kill(os.getpid(), signal.SIGKILL)

    return prepare


@contextlib.contextmanager
def _handlers(handler: Callable[[int, Any], None]) -> Iterator[None]:
    before: dict[int, Optional[Any]] = {number: signal.signal(number, handler) for number in _FORWARDED}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
