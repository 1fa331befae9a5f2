"""Addresses of this machine's loopback network for the hosts of jobs."""

from __future__ import annotations

import threading


class Addresses:
    """Hands them out, 254 to a job; those of a job that ended long ago are given again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def network(self) -> str:
        """Three bytes of addresses (``127.4.2``) that no other job has: its hosts are ``127.4.2.1``, ..."""
        with self._lock:
            self._last = self._last % 65279 + 1
            return f"127.{1 + self._last // 256}.{self._last % 256}"
