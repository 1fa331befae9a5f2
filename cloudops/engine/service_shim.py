"""The parent of one replica: keeps its log and outlives the supervisor, so that a new one finds the replica at work.

A replica must not write into a pipe that dies with the supervisor, and writing straight to a file would give lines
without times, logs without end, and a replica that fails when the disk is full. So each replica has this small
process above it: it stamps lines, masks secrets, begins a new file when one is long, drops what a full disk refuses,
passes SIGTERM on, and ends with the replica's exit code (128 + n for signal n), after whatever the replica has left
running, in sessions of its own too. Killing it kills the replica, which the supervisor then replaces.

``python -m cloudops.engine.service_shim LABEL...`` reads a :class:`Task` as JSON from standard input; the labels say
in the process table whose it is (see ``service_find.py``).
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from . import log_writer
from .log_writer import LINE_LIMIT, MARK, Lines, Log, Mask
from .process import adopt_orphans, descendants, die_with_parent, kill_until_gone

#: The exit code where the program cannot be started, as shells have it.
NO_PROGRAM = 127
_STARTED = MARK + b"started "
_FILE_LIMIT = 64 * 1024 * 1024
_FILES_KEPT = 3
_TAIL = 16 * 1024


@dataclass(frozen=True)
class Task:
    """What to run: ``cores`` to be bound to (empty: any), ``mask`` the secret values that no log may show.

    ``tied``: end when the process that started us does (set-up commands; replicas live on).
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str | None
    log: str
    cores: tuple[int, ...] = ()
    mask: tuple[str, ...] = ()
    tied: bool = False

    def encode(self) -> bytes:
        """JSON for the shim's standard input."""
        return json.dumps(asdict(self)).encode()


class RollingLog:
    """A log in files of bounded size: ``x.log``, then ``x.1.log`` and so on; the oldest are emptied, not removed,

    so that a reader which follows them is not disturbed.
    """

    def __init__(self, path: Path, mask: Mask) -> None:
        self._path = path
        self._lines = Lines(mask)
        self._number = _last_number(path)
        self._log = Log(_numbered(path, self._number))
        self._room = _FILE_LIMIT - _size(_numbered(path, self._number))

    def feed(self, data: bytes) -> None:
        """Log the lines that ``data`` completes; the rest waits for its end."""
        self._add(self._lines.feed(data, 0.0))

    def close(self) -> None:
        """Log the last line, which had no end."""
        self._add(self._lines.close())

    def note(self, text: str) -> None:
        """Log a line of our own."""
        self._log.note(text)

    def _add(self, lines: bytes) -> None:
        self._log.lines(lines)
        self._room -= len(lines)
        if self._room < 0:
            self._roll()

    def _roll(self) -> None:
        self._log.close()
        old = _numbered(self._path, self._number + 1 - _FILES_KEPT)
        with contextlib.suppress(OSError):
            os.truncate(old, 0)
        self._number += 1
        self._log = Log(_numbered(self._path, self._number))
        self._room = _FILE_LIMIT


def last_words(path: Path) -> str:
    """What the program said last since it was last started, as far as it explains its end; or ""."""
    try:
        with _numbered(path, _last_number(path)).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL))
            lines = [line.partition(b" ")[2] for line in file.read().splitlines()]
    except OSError:
        return ""
    starts = [place for place, line in enumerate(lines) if line.startswith(_STARTED)]
    return log_writer.last_words(b"\n".join(lines[starts[-1] :] if starts else lines))


def describe(code: int | None) -> str:
    """An exit code of a shim in words (negative: the shim itself was killed); None where it is not known."""
    if code is None:
        return "it ended"
    number = -code if code < 0 else code - 128
    with contextlib.suppress(ValueError):
        if number > 0:
            return f"killed by {signal.Signals(number).name}"
    return f"exit code {code}"


def main() -> int:
    """Run the task from standard input to its end; returns the exit code."""
    task = Task(**json.loads(sys.stdin.buffer.read()))
    adopt_orphans()
    if task.tied:
        die_with_parent()
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    log = RollingLog(Path(task.log), Mask(task.mask))
    log.note(f"started {task.argv[0]} (process {os.getpid()})")
    code = _run(task, log)
    log.close()
    log.note(f"ended: {describe(code)}")
    return code


def _run(task: Task, log: RollingLog) -> int:
    wake, alarm = os.pipe()
    os.set_blocking(alarm, False)
    signal.set_wakeup_fd(alarm, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    output, sink = os.pipe()
    try:
        child = _spawn(task, sink)
    except OSError as error:
        log.feed(f"cannot start {task.argv[0]}: {error.strerror}: {error.filename}\n".encode())
        return NO_PROGRAM
    finally:
        os.close(sink)
    _pump(child, output, wake, asked, log)
    code = child.wait()
    _end_the_rest()
    return 128 - code if code < 0 else code


def _end_the_rest() -> None:
    """Kill what the replica left: as orphans they are our children by now, and nobody else knows of them."""
    if _has_children():  # looking closer takes longer than most replicas have reason for
        kill_until_gone(lambda: descendants(os.getpid()))


def _has_children() -> bool:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


def _spawn(task: Task, sink: int) -> subprocess.Popen[bytes]:
    def prepare() -> None:
        die_with_parent()
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        if task.cores and sys.platform == "linux":
            os.sched_setaffinity(0, task.cores)

    return subprocess.Popen(
        task.argv,
        cwd=task.cwd,
        env=task.env,
        stdin=subprocess.DEVNULL,
        stdout=sink,
        stderr=sink,
        preexec_fn=prepare,  # noqa: PLW1509 - this process has one thread, so code between fork and exec is safe
    )


def _pump(child: subprocess.Popen[bytes], output: int, wake: int, asked: list[int], log: RollingLog) -> None:
    """Copy output until the child has ended and what it wrote is copied; grandchildren may keep the pipe open."""
    os.set_blocking(output, False)
    is_open = True
    while True:
        while asked:
            child.send_signal(asked.pop())
        ended = child.poll() is not None
        is_open = is_open and _copy(output, log)
        if ended:
            return
        readable = select.select([wake, output] if is_open else [wake], [], [])[0]
        if wake in readable:
            os.read(wake, 512)
            _bury_orphans(child.pid)


def _bury_orphans(child: int) -> None:
    """Collect adopted processes that have ended, as init does; the replica's own end is told elsewhere."""
    if not hasattr(os, "waitid"):
        return
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and ended.si_pid != child:
            os.waitpid(ended.si_pid, 0)


def _copy(output: int, log: RollingLog) -> bool:
    """Copy what is there, at most a few megabytes; False when the other end is closed."""
    for _ in range(64):
        try:
            data = os.read(output, LINE_LIMIT)
        except BlockingIOError:
            return True
        if not data:
            return False
        log.feed(data)
    return True


def _numbered(path: Path, number: int) -> Path:
    return path if number <= 0 else path.with_name(f"{path.stem}.{number}.log")


def _last_number(path: Path) -> int:
    number = 0
    while _numbered(path, number + 1).exists():
        number += 1
    return number


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


if __name__ == "__main__":
    sys.exit(main())
