"""Digests of code and data, and code packed under its digest.

A digest is the sha256 of a manifest with one line per file: the sha256 of its content, its x-bit, its size and its
name. It depends on nothing else, so the same content has the same digest on every machine.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cloudops.errors import ConfigError

from . import archive, globs
from .archive import unpack
from .content import CHUNK, File, changed, digested, executable, manifest_digest, pieces
from .disk import unfinished
from .statcache import StatCache
from .tree import Entry, code_files, data_files

__all__ = ["Packed", "Snapshot", "digest_path", "digest_tree", "pack", "unpack"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The content of a folder at one moment.

    Args:
        digest: sha256 of the manifest, 64 hexadecimal digits.
        files: how many files.
        bytes: the sum of their sizes.
    """

    digest: str
    files: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Packed(Snapshot):
    """A snapshot and its archive on this machine, an uncompressed tar."""

    archive: Path


def digest_tree(root: Path, cache_dir: Path, *, without: Path | None = None) -> Snapshot:
    """The snapshot of the code folder ``root``; a file that has not changed since the last look is not read.

    Args:
        root: a folder; :mod:`cloudops.store.ignore` says what belongs to it.
        cache_dir: where digests are remembered.
        without: a file that does not count, wherever it is.

    Raises:
        ConfigError: something in the folder cannot be read, or a link leads nowhere or out of it.
    """
    cache = _cache(root, cache_dir)
    return _snapshot(_files(_code(root, without), cache))


def digest_path(path: str | os.PathLike[str], cache_dir: Path) -> str:
    """The digest of input data: of a file's content, of a folder, or of the files that match a pattern.

    Args:
        path: a file, a folder, or a path with wildcards.
        cache_dir: where digests are remembered.

    Raises:
        ConfigError: there is nothing at ``path``, or it cannot be read.
    """
    text = os.path.abspath(path)
    cache = _cache(text, cache_dir)
    if os.path.isdir(text):
        return _snapshot(_files(data_files(Path(text)), cache)).digest
    if globs.has_wildcard(text) and not os.path.exists(text):
        return _snapshot(_files([_entry(name, found) for name, found in globs.matches(text)], cache)).digest
    return _files([_entry(os.path.basename(text), text)], cache)[0].digest


def pack(root: Path, store_dir: Path, *, without: Path | None = None) -> Packed:
    """Pack the code folder ``root`` into ``store_dir/code/<digest>.tar``, once per content.

    Nothing is read or written where the folder has not changed since it was packed.

    Args:
        root: a folder; :mod:`cloudops.store.ignore` says what belongs to it.
        store_dir: where archives and the digests of files are kept.
        without: a file that stays out, wherever it is.

    Raises:
        ConfigError: something in the folder cannot be read, or a link leads nowhere or out of it.
        CloudopsError: the disk is full, or ``store_dir`` cannot be written; no half archive is left.
    """
    folder = store_dir / "code"
    cache = _cache(root, store_dir)
    entries = _code(root, without)
    if cache:
        # Most is known, so finding out whether the archive is there costs little; else one pass does both.
        files = _files(entries, cache)
        packed = _packed(files, folder)
        if _intact(packed.archive, files):
            return packed
    return _write(entries, cache, folder)


def _code(root: Path, without: Path | None) -> list[Entry]:
    entries = code_files(root)
    try:
        left_out = None if without is None else os.stat(without)
    except OSError:
        left_out = None
    if left_out is None:
        return entries
    return [entry for entry in entries if not os.path.samestat(entry.status, left_out)]


def _cache(path: str | os.PathLike[str], cache_dir: Path) -> StatCache:
    """The digests known of ``path``; made before anything in it is looked at."""
    return StatCache(cache_dir, os.path.realpath(path))


def _entry(name: str, path: str) -> Entry:
    try:
        return Entry(name, path, os.stat(path))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def _files(entries: Sequence[Entry], cache: StatCache) -> list[File]:
    known = cache.digests(entries)
    files = [digested(entry, digest) for entry, digest in zip(entries, known, strict=True)]
    if None in known:
        cache.save(entries, [file.digest for file in files])
    return files


def _snapshot(files: Sequence[File]) -> Snapshot:
    return Snapshot(manifest_digest(files), len(files), sum(file.size for file in files))


def _packed(files: Sequence[File], folder: Path) -> Packed:
    found = _snapshot(files)
    return Packed(found.digest, found.files, found.bytes, folder / f"{found.digest}.tar")


def _intact(path: Path, files: Sequence[File]) -> bool:
    """Whether the archive is there in full; one cut short by a crash is written again."""
    size = sum(archive.space(file.name, file.size) for file in files)
    try:
        return path.stat().st_size == size + len(archive.end(size))
    except FileNotFoundError:
        return False


def _write(entries: Sequence[Entry], cache: StatCache, folder: Path) -> Packed:
    """Pack in one pass: each file is read once, digested and written."""
    with unfinished(folder) as (out, temporary):
        files = [_add(out, entry) for entry in entries]
        out.write(archive.end(out.tell()))
        out.close()
        packed = _packed(files, folder)
        os.replace(temporary, packed.archive)
    cache.save(entries, [file.digest for file in files])
    return packed


def _add(out: BinaryIO, entry: Entry) -> File:
    """Write ``entry`` to the archive: what is there now if it is small, else as much as the walk saw."""
    content = pieces(entry)
    piece = next(content, b"")
    size = len(piece) if len(piece) < CHUNK else max(entry.status.st_size, len(piece))
    file = hashlib.sha256()
    out.write(archive.header(entry.name, size, executable=executable(entry)))
    left = size
    while piece and left:
        piece = piece[:left]
        file.update(piece)
        out.write(piece)
        left -= len(piece)
        piece = next(content, b"")
    if left:
        raise changed(entry)
    out.write(archive.padding(size))
    return File(entry.name, executable(entry), size, file.hexdigest())
