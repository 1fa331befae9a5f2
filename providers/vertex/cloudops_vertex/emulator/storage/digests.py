"""The checksums of an object, in base64 as the service shows them."""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple

from . import crc32c
from .errors import BadDigest, Invalid

#: Bytes that are read and written at once.
PIECE = 1 << 20
_HASH = re.compile(r"(crc32c|md5)=([A-Za-z0-9+/]+={0,2})")
_LENGTHS = {"md5": 16, "crc32c": 4}


class Digests(NamedTuple):
    """Checksums, and the size of that which they are of; ``md5`` is None for an object that was put together."""

    size: int
    crc32c: str
    md5: str | None


def of_stream(stream: BinaryIO) -> Digests:
    """Of all that is left of ``stream``."""
    md5, crc, size = hashlib.md5(usedforsecurity=False), crc32c.checksum(), 0
    while piece := stream.read(PIECE):
        md5.update(piece)
        crc.update(piece)
        size += len(piece)
    return Digests(size, b64encode(crc.digest()).decode(), b64encode(md5.digest()).decode())


def of_file(path: Path) -> Digests:
    """Of a file. Raises OSError."""
    with path.open("rb", buffering=0) as stream:
        return of_stream(stream)


#: Of no bytes.
EMPTY = Digests(0, "AAAAAA==", "1B2M2Y8AsgTpgAmY7PhCfg==")


def given(header: str) -> dict[str, str]:
    """The checksums in a header ``x-goog-hash``, by their names ``crc32c`` and ``md5``."""
    return dict(_HASH.findall(header))


def check(expected: Mapping[str, str | None], found: Digests) -> None:
    """Raise :class:`BadDigest` where the client has sent a checksum that is not that of the bytes."""
    for kind, label, actual in (("md5", "MD5 hash", found.md5), ("crc32c", "CRC32C", found.crc32c)):
        wanted = expected.get(kind)
        if not wanted or actual is None:
            continue
        if _length(wanted) != _LENGTHS[kind]:
            raise Invalid(f'Invalid {label} value: "{wanted}"', code="InvalidDigest")
        if b64decode(wanted) != b64decode(actual):
            raise BadDigest(label, wanted, actual)


def _length(value: str) -> int:
    try:
        return len(b64decode(value, validate=True))
    except ValueError:
        return -1
