"""How variants scale, and how the tags of an endpoint's configuration keep it.

``replicas`` (``1:3``) and ``scaling`` (target, cooldowns) are of the one variant ``main``, ``replicas/<variant>`` and
``scaling/<variant>`` of those of a split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .names import MAIN

if TYPE_CHECKING:
    from cloudops.provider import DeployRequest

_METRIC, _BACKLOG = "SageMakerVariantInvocationsPerInstance", "ApproximateBacklogSizePerInstance"
#: Ends the tag of a variant that scales by what waits.
_WAITS = ":backlog"
_TARGET, _IN, _OUT = 600.0, 300.0, 60.0


@dataclass(frozen=True, slots=True)
class Scaling:
    """How a variant scales.

    Args:
        low: instances, at least.
        high: instances, at most.
        target: invocations per instance and minute, or requests that wait per instance.
        scale_in: seconds between two removals.
        scale_out: seconds between two additions.
        backlog: whether it goes by what waits, as asynchronous endpoints do.
    """

    low: int
    high: int
    target: float = _TARGET
    scale_in: float = _IN
    scale_out: float = _OUT
    backlog: bool = False

    def tags(self, variant: str) -> dict[str, str]:
        """The tags that keep it."""
        more = f"{self.target:g}:{self.scale_in:g}:{self.scale_out:g}{_WAITS if self.backlog else ''}"
        return {_key("replicas", variant): f"{self.low}:{self.high}", _key("scaling", variant): more}

    def policy(self, endpoint: str) -> dict[str, Any]:
        """The configuration of the policy.

        An asynchronous endpoint tells how much waits, and not how much each instance is asked:
        https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html
        """
        metric: dict[str, Any] = {"PredefinedMetricSpecification": {"PredefinedMetricType": _METRIC}}
        if self.backlog:
            of_endpoint = [{"Name": "EndpointName", "Value": endpoint}]
            waits = {"MetricName": _BACKLOG, "Namespace": "AWS/SageMaker", "Statistic": "Average"}
            metric = {"CustomizedMetricSpecification": {**waits, "Dimensions": of_endpoint}}
        return {
            "TargetValue": self.target,
            **metric,
            "ScaleInCooldown": int(self.scale_in),
            "ScaleOutCooldown": int(self.scale_out),
        }


def scalings(tags: Mapping[str, str]) -> dict[str, Scaling]:
    """How the variants of a configuration scale, by its tags; those that do not are left out."""
    found = {}
    for key, bounds in tags.items():
        name, _, variant = key.partition("/")
        low, _, high = bounds.partition(":")
        if name == "replicas" and high:
            kept = tags.get(_key("scaling", variant or MAIN), "")
            numbers = kept.removesuffix(_WAITS).split(":") if kept else (_TARGET, _IN, _OUT)
            target, scale_in, scale_out = map(float, numbers)
            backlog = kept.endswith(_WAITS)
            found[variant or MAIN] = Scaling(int(low), int(high), target, scale_in, scale_out, backlog)
    return found


def _key(name: str, variant: str) -> str:
    return name if variant == MAIN else f"{name}/{variant}"


def of(request: DeployRequest) -> Scaling | None:
    """How the version of a request is to scale; None where its replicas are as many as they are."""
    low, high = request.spec.min_replicas, request.spec.max_replicas
    if high is None or high <= low:
        return None
    options = request.options
    if options is None:
        return Scaling(low, high)
    waits = options.asynchronous
    target = waits.target_backlog if waits else options.target_invocations
    return Scaling(low, high, target, options.scale_in_cooldown, options.scale_out_cooldown, waits is not None)
