"""The standard streams, made safe: one that is closed, full, or of a narrow encoding must end no command's work."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO

from cloudops.errors import CloudopsError


class ReaderGone(Exception):
    """Whoever read standard output has seen enough."""


class OutputLost(CloudopsError):
    """Standard output cannot be written."""


def prepare() -> None:
    """Put safe streams in the place of Python's.

    What cannot be shown on standard error is left out. Standard output raises :class:`ReaderGone` or
    :class:`OutputLost` once, and takes whatever comes after that for printed. A character that an encoding does not
    have is shown as its escape.
    """
    _open_missing()
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115 - it stays open
    if sys.stdout is sys.__stdout__:
        sys.stdout = _text(_Output(1, "wb", closefd=False), sys.__stdout__)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _text(_Diagnostics(2, "wb", closefd=False), sys.__stderr__, write_through=True)


def _open_missing() -> None:
    """Give the descriptors 0, 1 and 2 to the null device where they are closed, before a database gets them."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


class _Output(io.FileIO):
    lost = False

    def write(self, data: Any, /) -> int:
        if self.lost:
            return len(data)
        try:
            return super().write(data)
        except BrokenPipeError:
            self.lost = True
            raise ReaderGone from None
        except OSError as error:
            self.lost = True
            raise OutputLost(f"standard output cannot be written: {error.strerror}") from error


class _Diagnostics(io.FileIO):
    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def _text(raw: io.FileIO, old: TextIO | None, *, write_through: bool = False) -> TextIO:
    encoding, errors = ("utf-8", "strict") if old is None else (old.encoding, old.errors or "strict")
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=encoding,
        errors="backslashreplace" if errors == "strict" else errors,
        line_buffering=old is not None and raw.isatty(),
        write_through=write_through,
    )
