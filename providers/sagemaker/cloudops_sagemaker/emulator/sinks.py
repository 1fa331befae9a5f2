"""Where logs and metrics of what runs go: CloudWatch Logs and CloudWatch, as moto keeps them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .region import Region

_CHUNK = 4 << 20


class LogTail:
    """The lines that the engine adds to a log file, in the order in which they were read from a process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def lines(self) -> list[tuple[float, str]]:
        """Time (epoch seconds) and text of the lines that were added since the last call, some MiB at most."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(_CHUNK)
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        found = []
        for line in whole.split(b"\n")[:-1]:
            stamp, _, text = line.partition(b" ")
            found.append((float(stamp), text.decode("utf-8", "replace")))
        return found


def log_stream(region: Region, group: str, name: str) -> Any:
    """The stream ``name`` of a log group, both made where they are missing; its ``deliver`` adds events."""
    from moto.logs.models import logs_backends

    from .log_streams import Stream

    backend = logs_backends[region.account][region.name]
    with region.lock:
        if group not in backend.groups:
            backend.create_log_group(group, {}, kmsKeyId="")
        streams = backend.groups[group].streams
        if name not in streams:
            streams[name] = Stream(backend.groups[group], name)
        return streams[name]


def put_metrics(
    region: Region, namespace: str, dimensions: Mapping[str, str], values: Iterable[tuple[str, float, float, str]]
) -> None:
    """Add values to CloudWatch: name, value, time (epoch seconds) and unit of each; no infinities."""
    from moto.cloudwatch.models import cloudwatch_backends

    named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    data: list[dict[str, Any]] = [
        {
            "MetricName": name,
            "Value": value,
            "Timestamp": datetime.fromtimestamp(time, UTC).replace(tzinfo=None),
            "Unit": unit,
            "Dimensions": named,
        }
        for name, value, time, unit in values
        if math.isfinite(value)
    ]
    if data:
        with region.lock:
            cloudwatch_backends[region.account][region.name].put_metric_data(namespace, data)
