"""Data capture: sampled requests and answers as JSON lines in S3, in the service's format and under its names."""

from __future__ import annotations

import base64
import json
import threading
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from . import aws

if TYPE_CHECKING:
    from .region import Region

_CSV, _JSON = "CsvContentTypes", "JsonContentTypes"


@dataclass(frozen=True)
class Exchanged:
    """A request and its answer."""

    sent: bytes
    sent_type: str
    received: bytes
    received_type: str
    inference_id: str = ""
    attributes: str = ""


@dataclass
class Capture:
    """What an endpoint has captured and not written yet."""

    region: Region
    endpoint: str
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _lines: dict[tuple[str, str, str], list[str]] = field(default_factory=dict)

    def add(self, variant: str, config: Mapping[str, Any], seen: Exchanged) -> None:
        """Keep a request that was chosen."""
        line = json.dumps(_record(config, seen), separators=(",", ":"))
        with self._lock:
            place = (variant, config["DestinationS3Uri"], config.get("KmsKeyId", ""))
            self._lines.setdefault(place, []).append(line)

    def flush(self) -> None:
        """Write what was captured; what cannot be written (a bucket that is not there) is lost, as on the service."""
        with self._lock:
            lines, self._lines = self._lines, {}
        now = datetime.now(UTC)
        for (variant, destination, key), found in lines.items():
            name = f"{now:%Y/%m/%d/%H/%M-%S}-{now.microsecond // 1000:03d}-{uuid.uuid4()}.jsonl"
            data = "".join(f"{line}\n" for line in found).encode()
            with suppress(FileNotFoundError):
                aws.write(self.region, f"{destination.rstrip('/')}/{self.endpoint}/{variant}/{name}", data, key)


def wanted(config: Mapping[str, Any] | None) -> bool:
    """Whether anything is captured."""
    return bool(config and config.get("EnableCapture"))


def _record(config: Mapping[str, Any], seen: Exchanged) -> dict[str, Any]:
    modes = {one["CaptureMode"] for one in config["CaptureOptions"]}
    data: dict[str, Any] = {}
    if modes & {"Input", "InputAndOutput"}:
        data["endpointInput"] = _side("INPUT", seen.sent, seen.sent_type, config)
    if modes & {"Output", "InputAndOutput"}:
        data["endpointOutput"] = _side("OUTPUT", seen.received, seen.received_type, config)
    moment = datetime.fromtimestamp(time.time(), UTC)
    meta: dict[str, Any] = {"eventId": str(uuid.uuid4()), "inferenceTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}"}
    if seen.attributes:
        meta["customAttributes"] = [seen.attributes]
    if seen.inference_id:
        meta["inferenceId"] = seen.inference_id
    return {"captureData": data, "eventMetadata": meta, "eventVersion": "0"}


def _side(mode: str, data: bytes, content_type: str, config: Mapping[str, Any]) -> dict[str, str]:
    kinds = config.get("CaptureContentTypeHeader", {})
    plain = content_type.partition(";")[0].strip()
    encoding = "CSV" if plain in kinds.get(_CSV, ()) else "JSON" if plain in kinds.get(_JSON, ()) else "BASE64"
    text = base64.b64encode(data).decode() if encoding == "BASE64" else data.decode("utf-8", "replace")
    return {"observedContentType": content_type, "mode": mode, "data": text, "encoding": encoding}
