"""What is measured at every invocation, and from time to time at every instance, as CloudWatch has it for endpoints."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .cloudwatch_layer import store
from .cloudwatch_store import key

if TYPE_CHECKING:
    from .region import Region

INVOCATIONS = "AWS/SageMaker"
MACHINES = "/aws/sagemaker/Endpoints"


@dataclass(frozen=True)
class Measured:
    """An invocation: the status that the model answered, and times in seconds.

    Args:
        status: of HTTP; 0 where it did not answer in time or at all.
        model: until the container's answer was there.
        overhead: all that the service needed beside that.
        instances: how many were ready.
    """

    status: int
    model: float
    overhead: float
    instances: int


def record(region: Region, dimensions: Mapping[str, str], seen: Measured) -> None:
    """Note an invocation; errors count 0 where there is none, so that their average is the error rate."""
    failed = not 200 <= seen.status < 300
    add(
        region,
        INVOCATIONS,
        dimensions,
        {
            "Invocations": (1.0, "None"),
            "InvocationsPerInstance": (1.0 / max(seen.instances, 1), "None"),
            "Invocation4XXErrors": (float(400 <= seen.status < 500), "None"),
            "Invocation5XXErrors": (float(seen.status >= 500 or seen.status == 0), "None"),
            "InvocationModelErrors": (float(failed), "None"),
            "ModelLatency": (round(seen.model * 1e6), "Microseconds"),
            "OverheadLatency": (round(seen.overhead * 1e6), "Microseconds"),
        },
    )


def add(region: Region, namespace: str, dimensions: Mapping[str, str], values: Mapping[str, tuple[float, str]]) -> None:
    """Add one value and its unit to each of some metrics."""
    kept, real, offline = store(region), time.time(), region.clock.now()
    for name, (value, unit) in values.items():
        kept.add(key(namespace, name, dimensions), real, offline, {value: 1}, unit)
