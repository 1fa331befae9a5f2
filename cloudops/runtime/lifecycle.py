"""Where a serving process is in its life: loading, ready, draining; and what it is busy with."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Callable


class Lifecycle:
    """Safe to use from several threads. ``clock`` is a monotonic clock in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last = clock()
        self.loaded = False
        self.draining = False
        self.in_flight = 0

    @property
    def ready(self) -> bool:
        """Whether more requests are wanted."""
        return self.loaded and not self.draining

    @contextlib.contextmanager
    def request(self) -> Iterator[None]:
        """From the first byte of a request to the last of its response."""
        with self._lock:
            self.in_flight += 1
        try:
            yield
        finally:
            with self._lock:
                self.in_flight -= 1

    def worked(self) -> None:
        """A request other than a health check arrived."""
        self._last = self._clock()

    def drain(self) -> None:
        """Begin to shut down: health checks fail from now on, requests are still answered."""
        self._last = self._clock()
        self.draining = True

    def drained(self, quiet: float) -> bool:
        """Whether nothing is in flight and no request has come for ``quiet`` seconds."""
        return self.draining and self.in_flight == 0 and self._clock() - self._last >= quiet
