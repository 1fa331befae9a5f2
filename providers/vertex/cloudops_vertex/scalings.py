"""How many replicas a version has, and what they follow.

https://cloud.google.com/vertex-ai/docs/predictions/autoscaling
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudops.provider import DeployRequest

    from .machines import Machine
    from .options import VertexDeployOptions

_PREFIX = "aiplatform.googleapis.com/prediction/online"
CPU, ACCELERATOR = f"{_PREFIX}/cpu/utilization", f"{_PREFIX}/accelerator/duty_cycle"
REQUESTS = f"{_PREFIX}/request_count"
#: Percent at which the service adds a replica where nothing is said.
_DEFAULT = 60


def resources(request: DeployRequest, machine: Machine) -> dict[str, Any]:
    """The DedicatedResources of a version."""
    low, high = request.spec.min_replicas, request.spec.max_replicas or request.spec.min_replicas
    found: dict[str, Any] = {"machineSpec": machine.spec, "minReplicaCount": low, "maxReplicaCount": high}
    options: VertexDeployOptions | None = request.options
    if high > low:
        specs = [{"metricName": CPU, "target": options.target_cpu if options else _DEFAULT}]
        if options and options.target_accelerator is not None:
            specs.append({"metricName": ACCELERATOR, "target": options.target_accelerator})
        if options and options.target_requests is not None:
            specs.append({"metricName": REQUESTS, "target": options.target_requests})
        found["autoscalingMetricSpecs"] = specs
    return found
