"""The set-up commands of a version, run one after the other before its replicas start."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence

from .process import ProcessId, end_group

Command = tuple[str, ...]


class Setup:
    """Runs ``commands``, each started by ``start``; nothing runs before the first :meth:`step`.

    ``code`` is the exit code of a command that failed, else 0.
    """

    def __init__(self, commands: Sequence[Command], start: Callable[[Command], subprocess.Popen[bytes]]) -> None:
        self._commands, self._start = commands, start
        self._next = 0
        self._running: subprocess.Popen[bytes] | None = None
        self.done = False
        self.code = 0

    def step(self) -> bool:
        """Go on as far as possible without waiting; whether all of it is done. After a failure it begins anew.

        Raises:
            OSError: a command cannot be started.
        """
        while not self.done:
            if self._running is None:
                if self._next == len(self._commands):
                    self.done = True
                    break
                self.code = 0
                self._running = self._start(self._commands[self._next])
            code = self._running.poll()
            if code is None:
                return False
            self._running, self.code = None, code
            self._next = 0 if code else self._next + 1
            if code:
                return False
        return True

    def skip(self) -> None:
        """It was done by somebody else."""
        self.done = True

    def again(self) -> None:
        """What it made is gone: do it once more."""
        if self.done:
            self.done, self._next = False, 0

    def end(self) -> None:
        """Kill what runs and begin anew next time, unless it was done."""
        if self._running is not None:
            if self._running.poll() is None:
                end_group(ProcessId.of(self._running.pid), grace=0)
                self._running.wait()
            self._running, self._next = None, 0
