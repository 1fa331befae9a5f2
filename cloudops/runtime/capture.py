"""Keeps a sample of the requests and their predictions as JSON lines, for monitoring.

One object per line in ``<pid>-<start>.jsonl`` (start in epoch milliseconds): ``time`` (epoch seconds), ``version``,
``id``, ``inputs`` (rows as they were sent), ``outputs`` (one prediction per row) and ``latency`` (seconds). Headers
are never kept. A file is written by one process; a new one is begun at 64 MiB. The folder is bounded: where its files
would take more than the limit, the one that was written to least recently goes first, whoever wrote it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable, Optional

from .plain import dumps

_ROTATE_AT = 64 * 2**20
_LIMIT = 2**30
_FILES = 16  # at least so many fit into the limit: what goes at once is a small part of what is kept
_LOOKS = 64  # the folder is looked at whenever that part of the limit was written


class Capture:
    """Writes to ``folder`` (nowhere when None) the share ``sample`` (0 to 1) of what it is given.

    ``limit`` bounds the folder in bytes. Processes that share it may exceed it together, each by a 64th of it.

    A write that fails, for a full disk say, never reaches the request: it is counted and warned of once.
    """

    def __init__(
        self,
        folder: Path | None,
        sample: float,
        version: str,
        *,
        limit: int = _LIMIT,
        rotate_at: int = _ROTATE_AT,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._folder = folder
        self._sample = sample
        self._version = version
        self._limit = limit
        self._rotate_at = min(rotate_at, limit // _FILES)
        self._unchecked = limit  # bytes written since the folder was looked at; at first it always is
        self._draw = draw
        self._lock = threading.Lock()
        self._descriptor: Optional[int] = None
        self._size = 0
        self._start = 0
        self._warned = False
        self.captured = 0
        self.dropped = 0

    def keep(self, *, time: float, id: str, inputs: list[Any], outputs: list[Any], latency: float) -> None:
        """Write one request, if it is in the sample. ``inputs`` and ``outputs`` are plain JSON values."""
        if self._folder is None or self._draw() >= self._sample:
            return
        record = {"time": time, "version": self._version, "id": id, "inputs": inputs, "outputs": outputs}
        line = dumps({**record, "latency": latency}) + "\n"
        with self._lock:
            try:
                self._append(line.encode("utf-8", "replace"), self._folder)
                self.captured += 1
            except OSError as error:
                self._drop(error)

    def _append(self, line: bytes, folder: Path) -> None:
        self._unchecked += len(line)
        if self._unchecked > self._limit // _LOOKS:
            self._make_room(max(len(line), self._limit // _LOOKS), folder)
            self._unchecked = len(line)
        if self._descriptor is None or self._size + len(line) > self._rotate_at or self._was_removed():
            self._open(folder)
        assert self._descriptor is not None
        written = 0
        try:
            while written < len(line):
                written += os.write(self._descriptor, line[written:])
        except OSError:
            os.ftruncate(self._descriptor, self._size)  # a full disk took a part of the line
            raise
        self._size += len(line)

    def _make_room(self, size: int, folder: Path) -> None:
        """Remove files until ``size`` bytes may be added."""
        if size > self._limit:
            raise OSError(errno.EFBIG, "a request is larger than CLOUDOPS_CAPTURE_LIMIT")
        files = sorted(_files(folder))
        total = sum(length for _, length, _ in files)
        for _, length, path in files:
            if total + size <= self._limit:
                break
            path.unlink(missing_ok=True)
            total -= length

    def _was_removed(self) -> bool:
        """Whether another process made room with the file that this one is writing."""
        return self._descriptor is not None and os.fstat(self._descriptor).st_nlink == 0

    def _open(self, folder: Path) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        folder.mkdir(parents=True, exist_ok=True)
        self._start = max(int(time.time() * 1000), self._start + 1)  # never the name of the file before
        path = folder / f"{os.getpid()}-{self._start}.jsonl"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _drop(self, error: OSError) -> None:
        self.dropped += 1
        if not self._warned:
            self._warned = True
            message = f"requests cannot be captured in {self._folder}: {error.strerror}; they are answered all the same"
            print(f"[cloudops] warning: {message}", file=sys.stderr, flush=True)


def _files(folder: Path) -> Iterator[tuple[int, int, Path]]:
    """The captured files as (last written, bytes, path); others may remove them meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            with contextlib.suppress(FileNotFoundError):
                if entry.name.endswith(".jsonl"):
                    status = entry.stat()
                    yield status.st_mtime_ns, status.st_size, Path(entry.path)
