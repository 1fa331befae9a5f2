"""The writing half of logs: a process's output becomes lines, masked and stamped, in a file that may be on a full disk.

A line of a log is ``<epoch seconds, 6 digits> <text>``. Output is handled in chunks, not line by line: a job that
prints 100 MB must not wait for its log.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

#: Longest line in bytes; a longer one is split.
LINE_LIMIT = 64 * 1024

#: Lines of ours within a job's log begin so.
MARK = b"[cloudops] "

_SHORTEST_SECRET = 4
_REDRAW_PERIOD = 1.0


class Mask:
    """Replaces secret values by ``***``.

    Values under 4 characters are left alone: they hide nothing, and masking every "1" would ruin the log. Each line
    of a value of several lines is a secret of its own.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        parts = {part.strip() for secret in secrets for part in secret.splitlines()}
        values = [part.encode("utf-8", "surrogateescape") for part in parts if len(part) >= _SHORTEST_SECRET]
        self._values = sorted(values, key=len, reverse=True)
        self.longest = len(self._values[0]) if self._values else 0

    def __call__(self, data: bytes) -> bytes:
        """``data`` without the secrets that are whole in it."""
        for value in self._values:
            data = data.replace(value, b"***")
        return data


class Lines:
    """Turns the chunks that a process writes into whole, masked lines.

    A carriage return makes what stands before it provisional, as on a terminal: of a progress bar, at most one state
    a second is kept, and its last one. A line longer than :data:`LINE_LIMIT` is split between characters.

    Args:
        mask: hides secrets.
    """

    def __init__(self, mask: Mask) -> None:
        self._mask = mask
        self._rest = b""
        self._redrawn = b""
        self._redraw_shown = float("-inf")

    def feed(self, data: bytes, now: float) -> bytes:
        """The lines that ``data`` (at most LINE_LIMIT bytes) completes; ``now`` is in seconds of any clock."""
        data = self._rest + data
        cut = data.rfind(b"\n") + 1
        lines, self._rest = data[:cut], data[cut:]
        if lines:
            self._redrawn = b""
            lines = self._mask(_overwrite(lines) if b"\r" in lines else lines)
            if lines.find(b"\n") > LINE_LIMIT:
                lines = _split(lines)
        return lines + self._unfinished(now)

    def idle(self, now: float) -> bytes:
        """The state of a progress bar that was held back, once it is time to show it."""
        if self._redrawn and now - self._redraw_shown >= _REDRAW_PERIOD:
            line, self._redrawn, self._redraw_shown = self._redrawn, b"", now
            return self._mask(line) + b"\n"
        return b""

    def close(self) -> bytes:
        """The last line, which had no end."""
        last = self._rest.rstrip(b"\r").rpartition(b"\r")[2] or self._redrawn
        self._rest = self._redrawn = b""
        return self._mask(last) + b"\n" if last else b""

    def _unfinished(self, now: float) -> bytes:
        # A carriage return at the very end may be the first half of a line end.
        if b"\r" in self._rest[:-1]:
            drawn, _, tail = self._rest[:-1].rpartition(b"\r")
            self._redrawn = drawn.rstrip(b"\r").rpartition(b"\r")[2] or self._redrawn
            self._rest = tail + self._rest[-1:]
        return self.idle(now) + self._overlong()

    def _overlong(self) -> bytes:
        # As many bytes as a secret has are held back, since the end of one may still have to come.
        found, limit = b"", LINE_LIMIT + self._mask.longest
        while len(self._rest) > limit:
            self._rest = self._mask(self._rest)
            if len(self._rest) > limit:
                cut = _character_end(self._rest, LINE_LIMIT)
                found += self._rest[:cut] + b"\n"
                self._rest = self._rest[cut:]
        return found


class AppendFile:
    """A file that is only appended to, whole lines or nothing: a full disk loses lines and nothing else.

    Args:
        path: made with the first line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None
        self._size = 0

    def append(self, data: bytes) -> OSError | None:
        """Write ``data`` at the end; where that fails, the file is as it was and the reason is returned."""
        try:
            if self._descriptor is None:
                self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
                self._size = os.fstat(self._descriptor).st_size
            self._write(self._descriptor, data)
        except OSError as error:
            if self._descriptor is not None:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._descriptor, self._size)
            return error
        return None

    def close(self) -> None:
        """Close the file; a later append opens it again."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write(self, descriptor: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]
        self._size += len(data)


class Log:
    """A log: stamps lines and appends them. What the disk refuses is dropped, and one line says so afterwards.

    Args:
        path: of the log; its folder is there.
    """

    def __init__(self, path: Path) -> None:
        self._file = AppendFile(path)
        self._time = 0.0
        self._dropped = 0
        self.lost = 0
        self.problem = ""

    def lines(self, lines: bytes, now: float | None = None) -> float:
        """Append whole lines, stamped with ``now`` (epoch seconds), which is returned; it never goes back."""
        self._time = max(self._time, time.time() if now is None else now)
        if not lines:
            return self._time
        problem = self._file.append(self._notice() + _stamp(lines, self._time))
        if problem is None:
            self._dropped = 0
            return self._time
        count = lines.count(b"\n")
        self._dropped += count
        self.lost += count
        self.problem = problem.strerror or str(problem)
        return self._time

    def note(self, text: str) -> None:
        """Append a line of our own."""
        self.lines(MARK + text.replace("\n", " ").encode("utf-8", "replace") + b"\n")

    def close(self) -> None:
        """Close the file, after a last try to say what is missing."""
        if self._dropped:
            self._file.append(self._notice())
        self._file.close()

    def _notice(self) -> bytes:
        if not self._dropped:
            return b""
        return _stamp(b"%s%d lines are missing here: %s\n" % (MARK, self._dropped, self.problem.encode()), self._time)


_REASON = f"{MARK.decode()}error: "
_ERROR_LINE = re.compile(r"[\w.]*[A-Z]\w*(?:Error|Exception|Exit|Interrupt|Fault)(?:: .*)?")


def last_words(tail: bytes, *, limit: int = 300) -> str:
    """The line at the end of an output that says best why a process failed, or ``""``.

    Of the last 20 lines that is the last one in which our runtime gives the reason why it could not start, else the
    last that names an error as Python prints it, else the last that is not blank.
    """
    lines = [line.strip() for line in tail.decode("utf-8", "replace").split("\n")]
    lines = [line for line in lines if line and (line.startswith(_REASON) or not line.startswith(MARK.decode()))][-20:]
    reasons = [line[len(_REASON) :] for line in lines if line.startswith(_REASON)]
    errors = [line for line in lines if _ERROR_LINE.fullmatch(line)]
    return (reasons or errors or lines or [""])[-1][:limit]


def _stamp(lines: bytes, now: float) -> bytes:
    prefix = b"%.6f " % now
    return prefix + lines[:-1].replace(b"\n", b"\n" + prefix) + b"\n"


def _overwrite(lines: bytes) -> bytes:
    """Lines as a terminal shows them in the end: of text between carriage returns, the last piece."""
    return b"\n".join(line.rstrip(b"\r").rpartition(b"\r")[2] if b"\r" in line else line for line in lines.split(b"\n"))


def _split(lines: bytes) -> bytes:
    """``lines`` with the first of them, which is too long, cut into several."""
    found = b""
    while lines.find(b"\n") > LINE_LIMIT:
        cut = _character_end(lines, LINE_LIMIT)
        found += lines[:cut] + b"\n"
        lines = lines[cut:]
    return found + lines


def _character_end(data: bytes, cut: int) -> int:
    """The last place at or before ``cut`` that is not within a UTF-8 character."""
    for place in range(cut, max(cut - 4, 0), -1):
        if data[place] & 0xC0 != 0x80:
            return place
    return cut
