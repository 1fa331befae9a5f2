"""What files hold: read once, in pieces, with errors that name the file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from cloudops.errors import ConfigError

from .tree import Entry

#: Bytes read at a time; a file below this size is read in one piece.
CHUNK = 1 << 20


class File(NamedTuple):
    """A file's line in the manifest: its name, its x-bit, its size in bytes and the sha256 of its content."""

    name: str
    executable: bool
    size: int
    digest: str


def pieces(entry: Entry) -> Iterator[bytes]:
    """The content, in pieces of :data:`CHUNK` bytes but for the last.

    Raises:
        ConfigError: the file cannot be read, or is gone.
    """
    try:
        with open(entry.path, "rb", buffering=0) as file:
            while piece := file.read(CHUNK):
                yield piece
    except FileNotFoundError as error:
        raise changed(entry) from error
    except OSError as error:
        hint = "change its permissions, or leave it out"
        raise ConfigError(f"{entry.path} cannot be read: {error.strerror}", hint=hint) from error


def changed(entry: Entry) -> ConfigError:
    """The error for a file that is not any more what it was when the folder was walked."""
    hint = "run again when nothing writes to the folder, or leave the file out"
    return ConfigError(f"{entry.path} changed while it was read", hint=hint)


def digested(entry: Entry, digest: str | None = None) -> File:
    """``entry`` with the digest of its content, which is read unless ``digest`` is already known."""
    size = entry.status.st_size
    if digest is None:
        sha = hashlib.sha256()
        size = 0
        for piece in pieces(entry):
            sha.update(piece)
            size += len(piece)
        digest = sha.hexdigest()
    return File(entry.name, executable(entry), size, digest)


def executable(entry: Entry) -> bool:
    """Whether the owner may execute the file: the one mode bit that belongs to the content."""
    return bool(entry.status.st_mode & 0o100)


def manifest_digest(files: Iterable[File]) -> str:
    """The sha256 over one line per file, in the order given; a name may hold a line feed, so NUL ends each line."""
    lines = (f"{digest} {'x' if x else '-'} {size} {name}\0" for name, x, size, digest in files)
    return hashlib.sha256(os.fsencode("".join(lines))).hexdigest()
