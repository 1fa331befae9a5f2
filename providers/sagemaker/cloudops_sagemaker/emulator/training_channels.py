"""A training job's input: the objects of each channel, and which host gets which of them."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from . import aws
from .operations import invalid

if TYPE_CHECKING:
    from .region import Region


class DownloadError(Exception):
    """Input that is there no more, or not what it was said to be."""


@dataclass(frozen=True)
class Part:
    """An object and its path within the channel."""

    source: aws.Object
    path: str


def found_objects(region: Region, channel: Mapping[str, Any], role: str) -> list[Part]:
    """The objects of a channel.

    Raises:
        ServiceError: there are none, as the service says it.
    """
    source = channel["DataSource"]["S3DataSource"]
    uri = source["S3Uri"]
    parts = _listed(region, uri) if source["S3DataType"] == "S3Prefix" else _of_manifest(region, uri)
    if parts:
        return parts
    bucket = aws.split(uri)[0]
    raise invalid(
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket exists in '
        f'the selected region ({region.name}), that objects exist under that S3 prefix, and that the role "{role}" has '
        f'"s3:ListBucket" permissions on bucket "{bucket}".'
    )


def fetch(region: Region, channel: Mapping[str, Any], role: str, targets: Sequence[Path]) -> None:
    """Write a channel's objects to its folder on each host.

    Raises:
        DownloadError: one is gone, or cannot be written or decompressed.
    """
    from .operations import ServiceError

    source = channel["DataSource"]["S3DataSource"]
    sharded = source.get("S3DataDistributionType") == "ShardedByS3Key"
    try:
        parts = found_objects(region, channel, role)
        for number, part in enumerate(parts):
            first, *others = [targets[number % len(targets)]] if sharded else targets
            place = _place(first, part.path)
            aws.download(region, part.source, place)
            if channel.get("CompressionType") == "Gzip":
                place = _decompressed(place)
            for other in others:
                copy = other / place.relative_to(first)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(place, copy)
    except (OSError, EOFError, ServiceError) as error:
        raise DownloadError(f"Data download failed: {getattr(error, 'message', error)}") from error


def described(channels: Sequence[Mapping[str, Any]], mode: str) -> dict[str, Any]:
    """``inputdataconfig.json``."""
    return {
        channel["ChannelName"]: {
            "TrainingInputMode": channel.get("InputMode", mode),
            "S3DistributionType": channel["DataSource"]["S3DataSource"].get(
                "S3DataDistributionType", "FullyReplicated"
            ),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
            **({"ContentType": channel["ContentType"]} if "ContentType" in channel else {}),
        }
        for channel in channels
    }


def _listed(region: Region, uri: str) -> list[Part]:
    prefix = aws.split(uri)[1]
    found = [one for one in aws.objects(region, uri) if not one.key.endswith("/")]
    return [Part(one, _relative(one.key, prefix)) for one in found]


def _relative(key: str, prefix: str) -> str:
    """The path of an object within its channel: what follows the folder that the prefix names or lies in."""
    folder = prefix.rstrip("/") + "/"
    if prefix and key.startswith(folder):
        return key[len(folder) :]
    return key[prefix.rfind("/") + 1 :]


def _of_manifest(region: Region, uri: str) -> list[Part]:
    try:
        first, *rest = json.loads(aws.read(region, uri))
        prefix = first["prefix"]
        names = [str(name) for name in rest]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise invalid(f'The manifest {uri} cannot be read: {error}; expected [{{"prefix": ...}}, "key", ...]') from None
    found = []
    for name in names:
        source = next((one for one in aws.objects(region, prefix + name) if one.uri == prefix + name), None)
        if source is None:
            raise invalid(f"The manifest {uri} names {prefix + name}, which does not exist.")
        found.append(Part(source, name))
    return found


def _place(folder: Path, path: str) -> Path:
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts:
        raise OSError(f"the key {path!r} does not lie within the channel")
    return folder / pure


def _decompressed(path: Path) -> Path:
    target = path.with_suffix("") if path.suffix == ".gz" else path.with_name(f"{path.name}.out")
    with gzip.open(path) as packed, target.open("wb") as plain:
        shutil.copyfileobj(packed, plain, 1 << 20)
    path.unlink()
    return target
