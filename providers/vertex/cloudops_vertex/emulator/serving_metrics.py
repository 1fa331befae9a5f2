"""What Cloud Monitoring is told of predictions.

https://cloud.google.com/monitoring/api/metrics_gcp_a_b#gcp-aiplatform
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .metric_types import ENDPOINT
from .series import Point

if TYPE_CHECKING:
    from .names import Name
    from .site import Site

_PREFIX = "aiplatform.googleapis.com/prediction/online"


class Told:
    """Tells the metrics of one deployed model.

    Args:
        site: the emulated cloud.
        endpoint: its name.
        deployed: the deployed model's id.
    """

    def __init__(self, site: Site, endpoint: Name, deployed: str) -> None:
        self._site = site
        self._project = site.projects.id(endpoint.project) or endpoint.project
        self._resource = {
            "resource_container": endpoint.project,
            "location": endpoint.location,
            "endpoint_id": endpoint.id,
        }
        self._deployed = deployed

    def request(self, status: int, seconds: float) -> None:
        """One request: the status that it was answered with, and how long that took."""
        self._count("response_count", 1, response_code=str(status))
        self._count("prediction_latencies", seconds * 1000, latency_type="total")
        self._count("error_count" if status >= 400 else "prediction_count", 1)

    def replicas(self, ready: int, desired: int, at: float) -> None:
        """How many replicas there are at a time (epoch seconds)."""
        self._gauge("replicas", ready, at)
        self._gauge("target_replicas", desired, at)

    def usage(self, replica: str, cpu: float, memory: int, at: float) -> None:
        """What a replica uses: the share of its machine's cores (0 to 1), and bytes."""
        self._gauge("cpu/utilization", cpu, at, replica_id=replica)
        self._gauge("memory/bytes_used", memory, at, replica_id=replica)

    def _count(self, metric: str, amount: float, **labels: str) -> None:
        labels = {"deployed_model_id": self._deployed, **labels}
        self._site.series.count(self._project, f"{_PREFIX}/{metric}", labels, ENDPOINT, self._resource, amount)

    def _gauge(self, metric: str, value: float, at: float, **labels: str) -> None:
        labels = {"deployed_model_id": self._deployed, **labels}
        points = [Point.at(at, value)]
        self._site.series.add(self._project, f"{_PREFIX}/{metric}", labels, ENDPOINT, self._resource, points)
