"""A batch transform's data: the objects, their records, and payloads of no more than the allowed size."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import aws

if TYPE_CHECKING:
    from .region import Region


class DataError(Exception):
    """The data cannot be used; the message is for ``FailureReason``."""


@dataclass(frozen=True)
class Source:
    """An object to be transformed; ``name`` is what its output is called after."""

    uri: str
    name: str


def sources(region: Region, given: Mapping[str, Any]) -> list[Source]:
    """The objects that an ``S3DataSource`` names.

    Raises:
        DataError: there are none, or the manifest cannot be read.
    """
    uri = given["S3Uri"]
    found = _manifest(region, uri) if given["S3DataType"] == "ManifestFile" else _prefix(region, uri)
    if not found:
        raise DataError(f'ClientError: No S3 objects found under S3 URL "{uri}" given in input data source.')
    return found


def content(region: Region, source: Source, compression: str) -> bytes:
    """What an object holds.

    Raises:
        DataError: it is gone, or no gzip file although it should be.
    """
    try:
        data = aws.read(region, source.uri)
        return gzip.decompress(data) if compression == "Gzip" else data
    except (FileNotFoundError, OSError, EOFError) as error:
        raise DataError(f"ClientError: {source.uri} cannot be read: {error}") from error


def payloads(data: bytes, split: str, strategy: str, limit: int) -> Iterator[bytes]:
    """What is sent in one request each; ``limit`` bytes at most, 0: no limit.

    Raises:
        DataError: a record is larger.
    """
    if split == "None":
        yield _small(data, limit)
        return
    batch = b""
    for line in data.splitlines(keepends=True):
        record = _small(line if strategy == "MultiRecord" else line.rstrip(b"\r\n"), limit)
        if strategy == "SingleRecord":
            yield record
        elif batch and len(batch) + len(record) > limit:
            yield batch
            batch = record
        else:
            batch += record
    if batch:
        yield batch


def _small(data: bytes, limit: int) -> bytes:
    if limit and len(data) > limit:
        raise DataError(
            f"ClientError: a record of {len(data)} bytes is larger than MaxPayloadInMB allows ({limit} bytes)."
        )
    return data


def _prefix(region: Region, uri: str) -> list[Source]:
    key = aws.split(uri)[1]
    start = len(key) if key.endswith("/") or not key else key.rfind("/") + 1
    objects = [one for one in aws.objects(region, uri) if not one.key.endswith("/")]
    return [Source(one.uri, one.key[start:]) for one in objects]


def _manifest(region: Region, uri: str) -> list[Source]:
    try:
        first, *names = json.loads(aws.read(region, uri))
        return [Source(f"{first['prefix']}{name}", name) for name in names]
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"ClientError: the manifest {uri} cannot be read: {error}") from error
