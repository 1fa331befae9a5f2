"""Remembers the digest of a file's content for as long as the file's status says that it is the same.

The status is size, modification and change time and inode number. A file that changed just before it was looked at
may change once more without its times showing it (git calls such an entry racy), so its digest is not kept: the
next look reads it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .tree import Entry

#: How much older than the look a change time must be, in nanoseconds: several ticks of a kernel's clock, ...
_FINE = 50_000_000
#: ... or two seconds where the file system keeps whole seconds.
_COARSE = 2_000_000_000
_SECOND = 1_000_000_000


class StatCache:
    """The digests of one folder's files.

    Losing the file loses nothing: one that is damaged or cannot be written is as good as none. It is replaced as a
    whole, so two processes do not disturb each other.

    Args:
        cache_dir: where it is kept.
        subject: what the digests are of: an absolute path.
    """

    def __init__(self, cache_dir: Path, subject: str) -> None:
        name = hashlib.sha256(subject.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self._path = cache_dir / "stat" / name
        self._known = _load(self._path)
        self._made = time.time_ns()

    def __bool__(self) -> bool:
        return bool(self._known)

    def digests(self, entries: Iterable[Entry]) -> list[str | None]:
        """The digest of each entry, None for those that must be read."""
        known = self._known
        found: list[str | None] = []
        for name, _, status in entries:
            row = known.get(name)
            found.append(row[4] if row is not None and row[:4] == _key(status) else None)
        return found

    def save(self, entries: Iterable[Entry], digests: Iterable[str]) -> None:
        """Keep the digests of those entries that are not racy, and forget all others.

        Args:
            entries: files whose status was taken after this object was made.
            digests: of their contents, read after that.
        """
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=self._path.parent, prefix=".tmp-")
            try:
                with open(descriptor, "wb") as file:
                    # The cache's file system stamps its files by its own clock, which need not be this machine's.
                    skew = os.fstat(descriptor).st_mtime_ns - time.time_ns()
                    file.write(_dump(entries, digests, self._made + skew))
                os.replace(temporary, self._path)
            except BaseException:
                os.unlink(temporary)
                raise


def _dump(entries: Iterable[Entry], digests: Iterable[str], looked: int) -> bytes:
    """The cache file: the sha256 of all that follows, and a JSON object of rows."""
    rows = {
        entry.name: [*_key(entry.status), digest]
        for entry, digest in zip(entries, digests, strict=True)
        if not _racy(entry.status, looked)
    }
    body = json.dumps(rows, separators=(",", ":")).encode()
    return hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def _racy(status: os.stat_result, looked: int) -> bool:
    window = _FINE if status.st_ctime_ns % _SECOND else _COARSE
    return status.st_ctime_ns > looked - window


def _key(status: os.stat_result) -> list[int]:
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _load(path: Path) -> dict[str, list[Any]]:
    """The rows of a cache file; none where it is missing or is not what was written."""
    try:
        data = path.read_bytes()
    except OSError:
        return {}
    digest, _, body = data.partition(b"\n")
    if digest.decode("latin-1") != hashlib.sha256(body).hexdigest():
        return {}
    rows: dict[str, list[Any]] = json.loads(body)
    return rows
