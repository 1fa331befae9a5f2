"""Where logs and metrics of what runs go: CloudWatch Logs and CloudWatch, as moto keeps them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .region import Region


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
