"""What others ask of a running supervisor. Signals carry it: they need no room on a disk, and wake a wait."""

from __future__ import annotations

import os
import signal
from typing import Any


class Wishes:
    """The requests that came in so far.

    ``cancel`` and ``terminated`` (SIGTERM or SIGINT to the supervisor itself: the machine goes down) stay; whoever
    acts on ``interrupt`` resets it.
    """

    def __init__(self) -> None:
        self.cancel = False
        self.interrupt = False
        self.terminated = False
        self._inbox, self._wake = -1, -1

    def listen(self) -> None:
        """Take the requests from now on. Only in the main thread of a process that has no other use for signals."""
        self._inbox, self._wake = os.pipe()
        for descriptor in (self._inbox, self._wake):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, self._note)

    def fileno(self) -> int:
        """Readable when something came in, or a child ended."""
        return self._inbox

    def clear(self) -> None:
        """Make :meth:`fileno` unreadable again."""
        try:
            while os.read(self._inbox, 512):
                pass
        except BlockingIOError:
            return

    def _note(self, number: int, _frame: Any) -> None:
        self.cancel |= number == signal.SIGUSR1
        self.interrupt |= number == signal.SIGUSR2
        self.terminated |= number in (signal.SIGTERM, signal.SIGINT)
