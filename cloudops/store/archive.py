"""Uncompressed tar archives with headers that depend on nothing but names, modes and contents.

The headers are written by hand: ``tarfile`` takes longer over them than the digests of small files do. Names that do
not fit the classic header get a pax record, so ``tarfile`` and GNU tar read every archive.
"""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

from cloudops.errors import ConfigError

from .disk import cannot_write

_BLOCK = 512
_NAME = 100
#: Sizes from 8 GiB on do not fit the octal field.
_SIZE_LIMIT = 8**11
#: 1980-01-01: the oldest time that zip knows, and one that tar does not warn of.
_TIME = b"%011o\0" % 315532800
_RECORD = 10240


def header(name: str, size: int, *, executable: bool) -> bytes:
    """The header blocks of a regular file of ``size`` bytes."""
    mode = b"0000755\0" if executable else b"0000644\0"
    block = _block(os.fsencode(name)[:_NAME], min(size, _SIZE_LIMIT - 1), mode, b"0")
    return block if _is_plain(name, size) else _pax(name, size) + block


def space(name: str, size: int) -> int:
    """The bytes that a file takes in an archive: its header, its content and what pads it."""
    extra = 0 if _is_plain(name, size) else len(_pax(name, size))
    return _BLOCK + extra + size + -size % _BLOCK


def _is_plain(name: str, size: int) -> bool:
    """Whether the classic header holds it all."""
    return len(name) <= _NAME and name.isascii() and size < _SIZE_LIMIT


def padding(size: int) -> bytes:
    """What follows ``size`` bytes of content up to the next block."""
    return b"\0" * (-size % _BLOCK)


def end(size: int) -> bytes:
    """What ends an archive of ``size`` bytes: two empty blocks, filled up to a record."""
    return b"\0" * (2 * _BLOCK + -(size + 2 * _BLOCK) % _RECORD)


def _pax(name: str, size: int) -> bytes:
    """The blocks before the header, with what it cannot hold: long names, names beyond ASCII, large sizes."""
    records = _record(b"path", os.fsencode(name))
    if size >= _SIZE_LIMIT:
        records += _record(b"size", b"%d" % size)
    return _block(b"pax", len(records), b"0000644\0", b"x") + records + padding(len(records))


def _record(key: bytes, value: bytes) -> bytes:
    """``length key=value``, where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _block(name: bytes, size: int, mode: bytes, kind: bytes) -> bytes:
    before = name.ljust(_NAME, b"\0") + mode + b"0000000\0" * 2 + b"%011o\0" % size + _TIME
    after = kind + b"\0" * 100 + b"ustar\00000"
    # The checksum is taken with its own field filled with spaces.
    checksum = sum(before) + sum(after) + 8 * 0x20
    return (before + b"%06o\0 " % checksum + after).ljust(_BLOCK, b"\0")


def unpack(archive: Path, target: Path) -> None:
    """Extract ``archive`` into the folder ``target``, which is made where it is missing; x-bits are restored.

    Raises:
        ConfigError: the archive is missing, damaged, or would write outside ``target``.
        CloudopsError: the disk is full, or ``target`` cannot be written.
    """
    if not archive.exists():
        raise ConfigError(f"{archive} is missing", hint="run again: it is packed again from the code")
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive, "r:") as tar:
            tar.extractall(target, filter="data")
    except tarfile.TarError as error:
        hint = "delete it and run again: it is packed again from the code"
        raise ConfigError(f"{archive} cannot be unpacked: {error}", hint=hint) from error
    except OSError as error:
        raise cannot_write(target, error) from error
