"""Keeps secrets out of a log: what a process prints, with their values replaced."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterable

_MASK = b"***"
_WAIT = 0.2  # seconds after which the beginning of a line is shown without its end


class Masked:
    """A pipe whose content goes to ``target`` (a file descriptor), with the values in ``secrets`` replaced.

    A value may come in several writes, so that what could be the beginning of one is held back until more has come.
    """

    def __init__(self, target: int, secrets: Iterable[str]) -> None:
        values = {line for value in secrets for line in (value, *value.splitlines()) if len(line) > 3 or line == value}
        self._values = sorted((value.encode("utf-8", "surrogateescape") for value in values if value), key=len)[::-1]
        self._target = target
        self._reading, self.writing = os.pipe()
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._thread.start()

    def close(self, wait: float = 5.0) -> None:
        """Close our end and wait until all was copied."""
        os.close(self.writing)
        self._thread.join(wait)

    def mask(self, data: bytes) -> bytes:
        """``data`` without secrets."""
        for value in self._values:
            data = data.replace(value, _MASK)
        return data

    def _copy(self) -> None:
        import select

        held = b""
        while True:
            ready = select.select([self._reading], [], [], _WAIT if held else None)[0]
            data = os.read(self._reading, 65536) if ready else b""
            if ready and not data:
                self._write(self.mask(held))
                os.close(self._reading)
                return
            masked = self.mask(held + data)
            keep = self._kept(masked) if ready else 0
            held = masked[len(masked) - keep :]
            self._write(masked[: len(masked) - keep])

    def _kept(self, data: bytes) -> int:
        """How many bytes at the end of ``data`` may be the beginning of a secret."""
        for value in self._values:
            for size in range(min(len(value) - 1, len(data)), 0, -1):
                if data.endswith(value[:size]):
                    return size
        return 0

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._target, data) :]


def stdout() -> int:
    """The descriptor of this process's standard output."""
    sys.stdout.flush()
    return sys.stdout.fileno()
