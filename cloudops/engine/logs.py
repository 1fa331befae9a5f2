"""The reading half of logs: by time over all files of a folder, from the end without reading the rest, or as it grows.

A line of a log is ``<epoch seconds, 6 digits> <text>``, and the times of one file never go back.
"""

from __future__ import annotations

import heapq
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import BinaryIO

_BLOCK = 64 * 1024
_RANK = re.compile(r"rank-(\d+)")


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One line: when it was read from the process (epoch seconds), what it says, and whose it is.

    ``source`` is the name of the file without its suffix; ``rank`` the number in ``rank-<n>``, 0 for other names.
    """

    time: float
    text: str
    rank: int = 0
    source: str = ""


def read(directory: Path, *, tail: int | None = None, since: float | None = None) -> Iterator[LogRecord]:
    """The lines of a job (or of any folder with a ``logs`` folder) so far, by time.

    Args:
        directory: the job's folder.
        tail: only the last so many lines; the files are not read from their beginning for that.
        since: only lines of this time (epoch seconds) and later.
    """
    return _read([_File(path, since=since, tail=tail) for path in _paths(directory)], tail)


def follow(
    directory: Path,
    *,
    done: Callable[[], bool],
    tail: int | None = None,
    since: float | None = None,
    poll: float = 0.1,
    sleep: Callable[[float], None] | None = None,
) -> Iterator[LogRecord]:
    """The lines of a job as they come, until ``done()`` is true and every line was given.

    Args:
        directory: the job's folder.
        done: whether nothing more will be written, such as ``lambda: job.read(directory).final``.
        tail: of what is there already, only the last so many lines.
        since: only lines of this time (epoch seconds) and later.
        poll: seconds between looks.
        sleep: what waits; :func:`time.sleep` by default.
    """
    import time

    wait = sleep or time.sleep
    files: dict[Path, _File] = {}
    while True:
        finished = done()
        for path in _paths(directory):
            if path not in files:
                files[path] = _File(path, since=since, tail=tail)
        yield from _read(list(files.values()), tail, whole=not finished)
        tail = None
        if finished:
            return
        wait(poll)


class _File:
    """One log and how far it was read."""

    def __init__(self, path: Path, *, since: float | None, tail: int | None) -> None:
        self.path = path
        self.source = path.stem
        match = _RANK.fullmatch(path.stem)
        self.rank = int(match[1]) if match else 0
        with path.open("rb") as file:
            self.offset = 0 if since is None else _find_time(file, since)
            if tail is not None:
                self.offset = max(self.offset, _find_tail(file, tail))

    def records(self, whole: bool) -> Iterator[LogRecord]:
        """The lines from where the last call ended to what is now the end; with ``whole``, no unfinished one."""
        with self.path.open("rb") as file:
            end = file.seek(0, os.SEEK_END)
            file.seek(self.offset)
            while self.offset < end:
                line = file.readline()
                if not line or (whole and not line.endswith(b"\n")):
                    return
                self.offset += len(line)
                yield self._record(line)

    def _record(self, line: bytes) -> LogRecord:
        time, text = _parse(line)
        return LogRecord(time or 0.0, text, self.rank, self.source)


def _paths(directory: Path) -> list[Path]:
    return sorted((directory / "logs").glob("*.log"))


def _read(files: list[_File], tail: int | None, *, whole: bool = False) -> Iterator[LogRecord]:
    merged = heapq.merge(*(file.records(whole) for file in files), key=attrgetter("time"))
    if tail is None:
        yield from merged
        return
    from collections import deque

    yield from deque(merged, maxlen=tail)


def _parse(line: bytes) -> tuple[float | None, str]:
    """The time and the text of a line; the time is None where the line has none."""
    stamp, _, text = line.rstrip(b"\n").partition(b" ")
    try:
        return float(stamp), text.decode("utf-8", "replace")
    except ValueError:
        return None, line.rstrip(b"\n").decode("utf-8", "replace")


def _find_tail(file: BinaryIO, count: int) -> int:
    """Where the last ``count`` lines of a file begin."""
    if count <= 0:
        return file.seek(0, os.SEEK_END)
    position = file.seek(0, os.SEEK_END)
    missing = count
    first = True
    while position > 0:
        start = max(0, position - _BLOCK)
        file.seek(start)
        block = file.read(position - start)
        # The line end at the very end of the file ends the last line and begins none.
        ends = block.count(b"\n") - (first and block.endswith(b"\n"))
        if ends >= missing:
            return start + _after_end(block, missing + (first and block.endswith(b"\n")))
        missing -= ends
        position, first = start, False
    return 0


def _after_end(block: bytes, number: int) -> int:
    """The place after the ``number``-th line end from the right."""
    place = len(block)
    for _ in range(number):
        place = block.rfind(b"\n", 0, place)
    return place + 1


def _find_time(file: BinaryIO, since: float) -> int:
    """Where the first line of that time or later begins: a binary search over the file's bytes."""
    low, high = 0, file.seek(0, os.SEEK_END)
    while low < high:
        middle = (low + high) // 2
        start, line = _line_from(file, middle)
        if line and (_parse(line)[0] or 0.0) < since:
            low = start + len(line)
        else:
            high = middle
    return _line_from(file, low)[0] if low else 0


def _line_from(file: BinaryIO, position: int) -> tuple[int, bytes]:
    """The first whole line that begins at ``position`` or after it, and where it begins."""
    if position:
        file.seek(position - 1)
        position += len(file.readline()) - 1
    file.seek(position)
    return position, file.readline()
