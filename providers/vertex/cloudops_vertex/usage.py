"""What jobs use of their machines: Cloud Monitoring's shares as cores and bytes.

https://cloud.google.com/monitoring/api/metrics_gcp_i_o#gcp-ml; custom jobs report as AI Platform's did, by their ids.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cloudops.errors import NotFound
from cloudops.refs import MetricPoint

from . import machines
from .errors import is_kind
from .statuses import seconds

if TYPE_CHECKING:
    from .client import Client

#: Each is the share (0 to 1) that is used of what a machine has.
_METRICS = {
    "cpu": "ml.googleapis.com/training/cpu/utilization",
    "memory": "ml.googleapis.com/training/memory/utilization",
}
#: The shortest period of an average, in seconds.
_SHORTEST = 60


def points(client: Client, job: Mapping[str, Any], now: float) -> list[MetricPoint]:
    """The average ``cpu`` (cores) and ``memory`` (bytes) of a job's machines, from its start to its end or ``now``.

    One point each, of all machines together: the service does not tell them apart.
    """
    since = seconds(job.get("startTime"))
    machine = machine_of(job)
    if since is None or machine is None:
        return []
    until = max(seconds(job.get("endTime")) or now, since + _SHORTEST)
    found = []
    for name, scale in (("cpu", float(machine.cpus)), ("memory", machine.memory * (1 << 30))):
        values = _averages(client, _METRICS[name], str(job["name"]).rpartition("/")[2], since, until)
        if values:
            found.append(MetricPoint(name, sum(values) / len(values) * scale, time=until))
    return found


def machine_of(job: Mapping[str, Any]) -> machines.Machine | None:
    """The machine that a job runs on, where its size is known."""
    pools = job.get("jobSpec", {}).get("workerPoolSpecs", ())
    name = pools[0].get("machineSpec", {}).get("machineType") if pools else None
    return next((each for each in machines.ALL if each.name == name), None)


def _averages(client: Client, metric: str, job: str, since: float, until: float) -> list[float]:
    asked = {
        "filter": f'metric.type="{metric}" AND resource.labels.job_id="{job}"',
        "interval.startTime": _rfc3339(since),
        "interval.endTime": _rfc3339(until),
        "aggregation.alignmentPeriod": f"{math.ceil(until - since)}s",
        "aggregation.perSeriesAligner": "ALIGN_MEAN",
    }
    url = f"https://monitoring.googleapis.com/v3/projects/{client.project}/timeSeries"
    try:
        answer = client.request("monitoring.timeSeries.list", "GET", url, params=asked).json()
    except Exception as error:
        if is_kind(error, NotFound):  # nothing of the project has reported it yet
            return []
        raise
    series = answer.get("timeSeries", ())
    return [float(point["value"].get("doubleValue", 0.0)) for each in series for point in each.get("points", ())]


def _rfc3339(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat().replace("+00:00", "Z")
