"""One process of a job: how it is started, and what becomes of its output."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from cloudops.runtime.metrics import parse_line

from .job_types import MetricLine
from .log_writer import LINE_LIMIT, AppendFile, Lines, Log, Mask, last_words
from .process import ProcessId, die_with_parent

_METRIC = b"[cloudops] metric "
_TAIL = 8192
_F_SETPIPE_SZ = 1031
_PIPE_SIZE = 1 << 20


@dataclass(frozen=True)
class Command:
    """What a rank runs: ``cores`` to be bound to (empty: any), ``name`` as reasons call it (empty: not at all)."""

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str] = field(repr=False)
    rank: int = 0
    name: str = ""
    cores: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sinks:
    """Where output goes: the log of the rank, and the metrics of the job (None: not looked for)."""

    log: Log
    metrics: AppendFile | None
    mask: Mask
    attempt: int = 0


class Rank:
    """A running process. ``exit`` is its exit code as a shell tells it, once :meth:`ended` was called.

    Raises:
        OSError: the command cannot be started; the error names the file.
    """

    def __init__(self, command: Command, sinks: Sinks) -> None:
        self.command = command
        self.exit: int | None = None
        self._sinks = sinks
        self._lines = Lines(sinks.mask)
        self._tail = b""
        self._output: int | None
        self._output, sink = os.pipe()
        try:
            _widen(self._output)
            self._process = _spawn(command, sink)
        except BaseException:
            os.close(self._output)
            raise
        finally:
            os.close(sink)
        self.id = ProcessId.of(self._process.pid)

    def fileno(self) -> int:
        """The descriptor that is readable when :meth:`copy` has something to do; -1 when everything was read."""
        return -1 if self._output is None else self._output

    def ended(self, status: int) -> None:
        """Note that the process has ended with that wait status."""
        code = os.waitstatus_to_exitcode(status)
        self._process.returncode = code
        self.exit = 128 - code if code < 0 else code

    def copy(self, now: float) -> int:
        """Take over what can be read now and return its size, at most LINE_LIMIT; 0 at the end. Waits for some."""
        if self._output is None:
            return 0
        data = os.read(self._output, LINE_LIMIT)
        if data:
            self._keep(self._lines.feed(data, now))
        else:
            self.close()
        return len(data)

    def idle(self, now: float) -> None:
        """To be called now and then: shows the progress bar that was held back."""
        self._keep(self._lines.idle(now))

    def drain(self, now: float) -> None:
        """Take over what the process left in its pipe and close it, without waiting for another writer."""
        if self._output is not None:
            os.set_blocking(self._output, False)
            with contextlib.suppress(BlockingIOError):
                while self.copy(now):
                    pass
        self.close()

    def close(self) -> None:
        """Close the pipe; the last line needs no line end."""
        if self._output is not None:
            os.close(self._output)
            self._output = None
            self._keep(self._lines.close())

    def signal(self, number: int) -> None:
        """Signal the process group, as long as its leader runs."""
        if self.exit is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.id.pid, number)

    def failure(self) -> str:
        """Why it failed, in one line with the last words of its output."""
        name = f"{self.command.name}: " if self.command.name else ""
        words = last_words(self._tail)
        return f"{name}{describe_exit(self.exit)}{f': {words}' if words else ''}"

    def _keep(self, lines: bytes) -> None:
        if not lines:
            return
        time = self._sinks.log.lines(lines)
        self._tail = (self._tail + lines[-_TAIL:])[-_TAIL:]
        if self._sinks.metrics is not None and _METRIC in lines:
            self._keep_metrics(self._sinks.metrics, lines, time)

    def _keep_metrics(self, file: AppendFile, lines: bytes, time: float) -> None:
        found = []
        for line in lines.split(b"\n"):
            metric = parse_line(line.decode("utf-8", "replace")) if _METRIC in line else None
            if metric is not None:
                rank = self.command.rank or metric.rank
                found.append(MetricLine(metric.name, metric.value, metric.step, rank, time, self._sinks.attempt))
        file.append("".join(json.dumps(asdict(one)) + "\n" for one in found).encode())


def describe_exit(code: int | None) -> str:
    """An exit code as a shell tells it, in words."""
    if code is not None and code > 128:
        with contextlib.suppress(ValueError):
            number = signal.Signals(code - 128)
            hint = " (not by cloudops; was the machine out of memory?)" if number == signal.SIGKILL else ""
            return f"killed by {number.name}{hint}"
    return f"exit code {code}"


def _spawn(command: Command, sink: int) -> subprocess.Popen[bytes]:
    parent = os.getpid()

    def prepare() -> None:
        die_with_parent()
        if os.getppid() != parent:  # it was killed before the line above took effect
            os._exit(1)
        if command.cores:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, command.cores)

    # The supervisor has one thread, so that code between fork and exec is safe.
    return subprocess.Popen(
        command.argv,
        cwd=command.cwd,
        env=command.env,
        stdin=subprocess.DEVNULL,
        stdout=sink,
        stderr=sink,
        start_new_session=True,
        preexec_fn=prepare,  # noqa: PLW1509
    )


def _widen(pipe: int) -> None:
    """Let a process that prints a lot get ahead of us a little (Linux; the default is 64 KiB)."""
    import fcntl

    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe, _F_SETPIPE_SZ, _PIPE_SIZE)
