"""The offline clouds' time: it may run faster than this machine's, and can be moved on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_CENTURY = 100 * 365.25 * 86400


class Clock:
    """A clock whose seconds are shorter than real ones by ``speed``; nothing else in an emulator sleeps.

    What a service decides by time (how long a state lasts, a timeout, a bake, an alarm's period) goes by this clock.
    What is measured while it happens (log lines, requests, captures) carries the machine's own time, so that a client
    that asks for "the last hour" finds it after the clock was moved on, too.

    Args:
        speed: seconds of this clock in one second of the machine's.
        ahead: how far it is before the machine's at first, in seconds.
        real: the machine's monotonic clock, for tests.
    """

    def __init__(self, speed: float = 1.0, ahead: float = 0.0, *, real: Callable[[], float] = time.monotonic) -> None:
        if not speed > 0:
            raise ValueError(f"speed {speed}; expected more than 0")
        self.speed = speed
        self._real = real
        self._begun = real()
        self._start = time.time() + ahead
        self._moved = 0.0
        self._changed = threading.Condition()

    def now(self) -> float:
        """Seconds since the epoch."""
        with self._changed:
            return self._now()

    @property
    def ahead(self) -> float:
        """Seconds by which it is before the machine's clock."""
        return self.now() - time.time()

    def advance(self, seconds: float) -> float:
        """Move it on, wake everybody whose time has come, and return the new time.

        Raises:
            ValueError: ``seconds`` is negative, or so large that no calendar has the time.
        """
        if not 0 <= seconds <= _CENTURY:
            raise ValueError(f"cannot advance by {seconds:g} s; expected 0 to {_CENTURY:g}, a hundred years")
        with self._changed:
            self._moved += seconds
            self._changed.notify_all()
            return self._now()

    def wait(self, seconds: float, stop: Callable[[], bool] | None = None) -> bool:
        """Sleep until so much of this clock's time has passed; False where ``stop`` came true before that.

        ``stop`` is looked at once every tenth of a real second, and when :meth:`wake` is called.
        """
        with self._changed:
            end = self._now() + seconds
            while True:
                if stop is not None and stop():
                    return False
                left = (end - self._now()) / self.speed
                if left <= 0:
                    return True
                self._changed.wait(left if stop is None else min(left, 0.1))

    def wake(self) -> None:
        """Have everybody who waits look at their ``stop`` again."""
        with self._changed:
            self._changed.notify_all()

    def _now(self) -> float:
        return self._start + (self._real() - self._begun) * self.speed + self._moved
