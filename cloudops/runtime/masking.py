"""Keeps secrets out of a log: what a process prints, with their values replaced."""

from __future__ import annotations

import atexit
import os
import select
import sys
import threading
import time
from collections.abc import Iterable

_MASK = b"***"


class Mask:
    """Replaces secret values, and each line of those that have several, by ``***``."""

    def __init__(self, secrets: Iterable[str]) -> None:
        values = {line for value in secrets for line in (value, *value.splitlines()) if len(line) > 3 or line == value}
        self._values = sorted((value.encode("utf-8", "surrogateescape") for value in values if value), key=len)[::-1]

    def __call__(self, data: bytes) -> bytes:
        """``data`` without secrets."""
        for value in self._values:
            data = data.replace(value, _MASK)
        return data

    def unfinished(self, data: bytes) -> int:
        """How many bytes at the end of ``data`` may be the beginning of a secret."""
        return max((_overlap(data, value) for value in self._values), default=0)


def _overlap(data: bytes, value: bytes) -> int:
    """How many bytes at the end of ``data`` ``value`` begins with, but for all of it."""
    at = data.find(value[:1], max(0, len(data) - len(value) + 1))
    while at >= 0 and not value.startswith(data[at:]):
        at = data.find(value[:1], at + 1)
    return len(data) - at if at >= 0 else 0


class Masked:
    """A pipe whose content goes to ``target`` (a file descriptor), with the values in ``secrets`` replaced.

    A value may come in several writes, however late: what could be the beginning of one is held back until more comes.
    """

    def __init__(self, target: int, secrets: Iterable[str]) -> None:
        self._mask = Mask(secrets)
        self._target = target
        self._reading, self.writing = os.pipe()
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._thread.start()

    def close(self, wait: float = 5.0) -> None:
        """Close our end and wait until all was copied."""
        os.close(self.writing)
        self._thread.join(wait)

    def settle(self, wait: float = 1.0) -> None:
        """Wait until nothing is left in the pipe."""
        deadline = time.monotonic() + wait
        while select.select([self._reading], [], [], 0)[0] and time.monotonic() < deadline:
            time.sleep(0.005)
        time.sleep(0.02)  # what was read last is being written

    def _copy(self) -> None:
        held = b""
        while data := os.read(self._reading, 65536):
            masked = self._mask(held + data)
            shown = len(masked) - self._mask.unfinished(masked)
            held = masked[shown:]
            self._write(masked[:shown])
        self._write(held)
        os.close(self._reading)

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._target, data) :]


class Redirected:
    """Has what this process and its children print from now on pass through a mask; nothing without secrets."""

    def __init__(self, secrets: Iterable[str]) -> None:
        values = list(secrets)
        _flush()
        self._pipes = []
        for number in (1, 2) if values else ():
            kept = os.dup(number)
            self._pipes.append((number, kept, Masked(kept, values)))
            os.dup2(self._pipes[-1][2].writing, number)
        atexit.register(self.end)

    def settle(self) -> None:
        """Wait until all that was printed so far has passed: whoever ends this process may not wait for its end."""
        _flush()
        for _, _, pipe in self._pipes:
            pipe.settle()

    def end(self) -> None:
        """Print past the mask again, once all that was printed so far has passed it."""
        _flush()
        for number, kept, pipe in self._pipes:
            os.dup2(kept, number)
            pipe.close()
        self._pipes = []


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def stdout() -> int:
    """The descriptor of this process's standard output."""
    sys.stdout.flush()
    return sys.stdout.fileno()
