"""What Cloud Monitoring is told of predictions.

https://cloud.google.com/monitoring/api/metrics_gcp_a_b#gcp-aiplatform
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .hosted import Hosted
    from .predictions import Target
    from .site import Site

_PREFIX = "aiplatform.googleapis.com/prediction/online"
ENDPOINT = "aiplatform.googleapis.com/Endpoint"


def record(site: Site, target: Target, status: int, seconds: float) -> None:
    """Tell of one request: how it was answered, and how long that took."""
    labels = {"deployed_model_id": target.deployed.id}
    now = site.clock.now()
    code = f"{status // 100}xx" if status else "5xx"
    _add(site, target.endpoint.name, "response_count", {**labels, "response_code": code}, now, 1)
    _add(site, target.endpoint.name, "prediction_latencies", {**labels, "latency_type": "total"}, now, seconds * 1000)
    if status >= 400:
        _add(site, target.endpoint.name, "error_count", labels, now, 1)
    else:
        _add(site, target.endpoint.name, "prediction_count", labels, now, 1)


def record_replicas(hosted: Hosted, deployed: str, ready: int, desired: int) -> None:
    """Tell how many replicas a deployed model has."""
    now, labels = hosted.site.clock.now(), {"deployed_model_id": deployed}
    _add(hosted.site, hosted.record.name, "replicas", labels, now, ready)
    _add(hosted.site, hosted.record.name, "target_replicas", labels, now, desired)


def record_usage(hosted: Hosted, deployed: str, replica: str, cpu: float, memory: int) -> None:
    """Tell what a replica uses: the share of its machine's cores (0 to 1), and bytes."""
    now, labels = hosted.site.clock.now(), {"deployed_model_id": deployed, "replica_id": replica}
    _add(hosted.site, hosted.record.name, "cpu/utilization", labels, now, cpu)
    _add(hosted.site, hosted.record.name, "memory/bytes_used", labels, now, memory)


def _add(site: Site, name: Any, metric: str, labels: dict[str, str], now: float, value: float) -> None:
    resource = {"resource_container": name.project, "location": name.location, "endpoint_id": name.id}
    site.series.add(name.project, f"{_PREFIX}/{metric}", labels, ENDPOINT, resource, [(now, value)])
