"""What jobs and replicas use of their machines: CloudWatch's percentages as cores and bytes."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudops.refs import MetricPoint

from . import machines
from .windows import window

if TYPE_CHECKING:
    from .client import Client

JOBS, ENDPOINTS = "/aws/sagemaker/TrainingJobs", "/aws/sagemaker/Endpoints"
_METRICS = {"cpu": "CPUUtilization", "memory": "MemoryUtilization"}


@dataclass(frozen=True, slots=True)
class User:
    """Who uses a machine.

    Args:
        dimensions: of its metrics.
        machine: the instance type.
        labels: of the points.
    """

    dimensions: Mapping[str, str]
    machine: str
    labels: Mapping[str, str]


def points(client: Client, namespace: str, users: Sequence[User], since: float, until: float) -> list[MetricPoint]:
    """The average ``cpu`` (cores) and ``memory`` (bytes) of each user's machines between two epoch seconds."""
    if not users:
        return []
    asked = window(since, until)
    queries = [
        _query(f"{name}_{number}", namespace, metric, user.dimensions, asked.period)
        for number, user in enumerate(users)
        for name, metric in _METRICS.items()
    ]
    answer = client.service("cloudwatch").get_metric_data(
        MetricDataQueries=queries,
        StartTime=asked.start,
        EndTime=asked.end,
    )
    found = []
    for result in answer["MetricDataResults"]:
        name, _, number = result["Id"].partition("_")
        user = users[int(number)]
        value = _converted(name, result["Values"], user.machine)
        if value is not None:
            found.append(MetricPoint(name, value, time=min(until, time.time()), labels=dict(user.labels)))
    return found


def _converted(name: str, percents: Sequence[float], machine: str) -> float | None:
    """``CPUUtilization`` is in percent of one core (400 on four that are busy), ``MemoryUtilization`` of all memory.

    https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
    """
    known = machines.find(machine)
    if not percents or (name == "memory" and known is None):
        return None
    share = sum(percents) / len(percents) / 100
    return share if known is None or name == "cpu" else share * known.memory * (1 << 30)


def _query(id: str, namespace: str, metric: str, dimensions: Mapping[str, str], period: int) -> dict[str, Any]:
    named = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    wanted = {"Namespace": namespace, "MetricName": metric, "Dimensions": named}
    return {"Id": id, "MetricStat": {"Metric": wanted, "Period": period, "Stat": "Average"}}
