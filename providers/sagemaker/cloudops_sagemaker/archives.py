"""Model archives: what they hold, and how files are added without moving a large model through this machine."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO

#: Modification time of what cloudops adds: the same content is the same bytes.
_EPOCH = 0


def holds_files(archive: bytes) -> bool:
    """Whether a gzip-compressed tar has at least one file."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
            return any(not member.isdir() for member in opened)
    except (tarfile.TarError, OSError, EOFError, zlib.error):
        return False


def head(files: Mapping[str, bytes]) -> bytes:
    """``files`` as the beginning of a tar.gz: another one may simply follow.

    Members of gzip that follow each other are one file to whoever reads them, and so are those of tar as long as the
    mark of the end comes last. So this holds everything but that mark.
    """
    plain = io.BytesIO()
    for name, body in sorted(files.items()):
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = len(body), _EPOCH, 0o644
        plain.write(info.tobuf(tarfile.PAX_FORMAT))
        plain.write(body)
        plain.write(b"\0" * (-len(body) % tarfile.BLOCKSIZE))
    return gzip.compress(plain.getvalue(), compresslevel=1, mtime=_EPOCH)


def padded(beginning: bytes, size: int) -> bytes:
    """``beginning`` with so many bytes of nothing behind it that it has at least ``size``: the least part of an upload.

    A member of gzip that holds nothing may say anything in its name's place, which readers pass over.
    """
    while len(beginning) < size:
        room = min(size - len(beginning), 65_000)
        beginning += _empty_member(room)
    return beginning


def _empty_member(room: int) -> bytes:
    """A gzip member without content whose comment fills about ``room`` bytes."""
    header = b"\x1f\x8b\x08\x10" + b"\0" * 4 + b"\0\xff"
    body = zlib.compressobj(1, zlib.DEFLATED, -15).flush()
    return header + b"-" * max(1, room - len(header) - len(body) - 9) + b"\0" + body + b"\0" * 8


def pack(folder: Path, target: IO[bytes]) -> None:
    """Write the files of a model's folder as a tar.gz, the same bytes for the same content."""
    with (
        gzip.GzipFile(fileobj=target, mode="wb", compresslevel=1, mtime=_EPOCH) as compressed,
        tarfile.open(fileobj=compressed, mode="w|", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, path in sorted(_files(folder)):
            info = tarfile.TarInfo(name)
            status = path.stat()
            info.size, info.mtime, info.mode = status.st_size, _EPOCH, 0o755 if status.st_mode & 0o100 else 0o644
            with path.open("rb") as file:
                archive.addfile(info, file)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path.relative_to(folder).as_posix(), path
