"""Buckets and objects as they are kept."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

DEFAULT_TYPE = "application/octet-stream"


class Stamp(NamedTuple):
    """By what a file is told to have changed.

    Args:
        size: bytes.
        mtime: of the last change, in nanoseconds since the epoch, by the system's clock.
        inode: of the file; a file that was renamed over another has its own.
    """

    size: int
    mtime: int
    inode: int


#: That of a folder, whose time changes with what is in it.
FOLDER = Stamp(0, 0, 0)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket.

    Args:
        name: globally unique.
        project: as it was named by whoever has made the bucket.
        created: seconds since the epoch, by the offline clock.
        updated: when its settings were last changed.
        metageneration: counts changes of the settings, from 1.
        settings: as in the JSON API.
        policy: IAM's bindings, as in the JSON API; they are kept, and nobody is measured by them.
    """

    name: str
    project: str
    created: float
    updated: float
    metageneration: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)
    policy: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Object:
    """An object, in the one generation that is kept of it.

    Args:
        bucket: its bucket's name.
        name: within the bucket.
        generation: of the content; each new content has a larger one.
        metageneration: counts changes of ``fields`` within the generation, from 1.
        size: bytes.
        crc32c: in base64.
        md5: in base64; None for an object that was put together of others.
        created: seconds since the epoch, by the offline clock, of this generation.
        updated: when ``fields`` were last changed.
        path: of a file with its bytes, which is only to be read.
        fields: what clients can set, as in the JSON API: contentType, metadata, ...
        components: of how many it was put together; None where it was not.
        visible: whether it is seen in the tree, and so can be changed and removed there.
        stamp: of the file, when it was last looked at.
        settled: whether a change since then must show in ``stamp``; else the content has to be compared.
    """

    bucket: str
    name: str
    generation: int
    metageneration: int
    size: int
    crc32c: str
    md5: str | None
    created: float
    updated: float
    path: Path
    fields: Mapping[str, Any] = field(default_factory=dict)
    components: int | None = None
    visible: bool = True
    stamp: Stamp = FOLDER
    settled: bool = True

    @property
    def content_type(self) -> str:
        """As given when it was made; empty for a file whose type nobody has said."""
        return str(self.fields.get("contentType") or "")

    @property
    def metadata(self) -> Mapping[str, str]:
        """The client's own."""
        return dict(self.fields.get("metadata") or {})

    @property
    def etag(self) -> str:
        """Of this generation and metageneration, in the service's own form: a protocol buffer in base64."""
        return etag(self.generation, self.metageneration)


def etag(generation: int, metageneration: int) -> str:
    """A tag that changes with either."""
    return b64encode(b"\x08" + _varint(generation) + b"\x10" + _varint(metageneration)).decode()


def _varint(value: int) -> bytes:
    pieces = bytearray()
    while value > 0x7F:
        pieces.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*pieces, value])
