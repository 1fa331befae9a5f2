"""Captured requests: SageMaker's JSON lines in S3, read back as rows and predictions."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cloudops.provider import Captured

from .predicting import SENT
from .serving import version_of

if TYPE_CHECKING:
    from .names import Place
    from .storage import Storage

#: ``<version>/<endpoint>/<variant>/2026/01/31/23/59-58-123-<id>.jsonl`` below the folder of captured requests.
_KEY = re.compile(r"(?P<version>[^/]+)/[^/]+/(?P<variant>[^/]+)/(?P<hour>\d{4}/\d\d/\d\d/\d\d)/[^/]+\.jsonl")
#: A file holds requests of some minutes before the time in its name.
_BEFORE = timedelta(hours=1)
_SENT = re.compile(rf"{SENT}([0-9]+\.[0-9]{{6}})-")


def read(storage: Storage, folder: Place, since: float, until: float) -> Iterator[Captured]:
    """The requests captured below ``folder`` between two times, oldest first."""
    found = []
    for name, _ in storage.sizes(folder):
        match = _KEY.fullmatch(name)
        if match is None or not _near(match["hour"], since, until):
            continue
        version = version_in(match["version"], match["variant"])
        for line in (storage.get(folder / name) or b"").splitlines():
            each = parse(line, version)
            # A time without a fraction is that of the service, which rounds it down.
            if each is not None and since < each.time + (each.time % 1 == 0) and each.time < until:
                found.append(each)
    return iter(sorted(found, key=lambda each: each.time))


def version_in(folder: str, variant: str) -> str:
    """The version that answered: that of a variant of its own, else that whose configuration named the folder."""
    from .serving import ConfigName

    return version_of(variant, ConfigName("", "", folder, False))


def parse(line: bytes, version: str) -> Captured | None:
    """One captured request; None for a line that is damaged, or has no rows that could be read."""
    try:
        record = json.loads(line)
        data, meta = record["captureData"], record["eventMetadata"]
        inputs = _rows(data["endpointInput"])
        outputs = _predictions(data["endpointOutput"])
        moment = _sent(meta.get("inferenceId", "")) or _time(meta["inferenceTime"])
    except (ValueError, KeyError, TypeError):
        return None
    if inputs is None or outputs is None or len(inputs) != len(outputs):
        return None
    return Captured(moment, version, inputs, outputs)


def _sent(identifier: str) -> float | None:
    """When a request of ours was sent, in more than whole seconds."""
    match = _SENT.match(identifier)
    return float(match[1]) if match else None


def _time(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _body(side: Mapping[str, Any]) -> bytes:
    text = str(side["data"])
    return base64.b64decode(text) if side.get("encoding") == "BASE64" else text.encode()


def _rows(side: Mapping[str, Any]) -> list[Any] | None:
    from cloudops.runtime import formats
    from cloudops.runtime.errors import BadRequest, HttpError

    try:
        return formats.read(_body(side), str(side.get("observedContentType", ""))).rows
    except (BadRequest, HttpError):
        return None


def _predictions(side: Mapping[str, Any]) -> list[Any] | None:
    kind = str(side.get("observedContentType", "application/json")).partition(";")[0].strip()
    if kind != "application/json":
        return _rows(side)
    value = json.loads(_body(side))
    found = value.get("predictions") if isinstance(value, dict) else value
    return found if isinstance(found, list) else None


def _near(hour: str, since: float, until: float) -> bool:
    """Whether a file of that hour may hold something of the window."""
    begin = datetime.strptime(hour, "%Y/%m/%d/%H").replace(tzinfo=UTC)
    end = begin + timedelta(hours=1)
    return (end + _BEFORE).timestamp() >= since and (begin - _BEFORE).timestamp() <= until
