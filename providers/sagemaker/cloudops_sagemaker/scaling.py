"""Replicas that are added and removed by themselves: application-autoscaling's targets and policies of variants.

How a variant scales is kept in the tags of the endpoint's configuration: ``replicas`` (``1:3``) and ``scaling``
(target, cooldowns) of the one variant ``main``, ``replicas/<variant>`` and ``scaling/<variant>`` of those of a split.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudops.errors import NotFound

from .errors import is_kind
from .serving import MAIN

if TYPE_CHECKING:
    from .client import Client

_SPACE = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
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


def resource(endpoint: str, variant: str) -> str:
    """What scales, as the service calls it."""
    return f"endpoint/{endpoint}/variant/{variant}"


def policy(endpoint: str) -> str:
    """The name of the policy by which it scales."""
    return f"cloudops-{endpoint}"


def ensure(client: Client, endpoint: str, wanted: Mapping[str, Scaling]) -> None:
    """Have the variants of an endpoint in service scale as is ``wanted``; nothing is written where they do."""
    service = client.service("application-autoscaling")
    names = [resource(endpoint, variant) for variant in wanted]
    answer = service.describe_scalable_targets(**_SPACE, ResourceIds=names) if names else {"ScalableTargets": ()}
    bounds = {item["ResourceId"]: (item["MinCapacity"], item["MaxCapacity"]) for item in answer["ScalableTargets"]}
    for variant, one in wanted.items():
        name = resource(endpoint, variant)
        if bounds.get(name) != (one.low, one.high):
            service.register_scalable_target(**_SPACE, ResourceId=name, MinCapacity=one.low, MaxCapacity=one.high)
        if not _has_policy(service, endpoint, name, one):
            service.put_scaling_policy(
                **_SPACE,
                PolicyName=policy(endpoint),
                ResourceId=name,
                PolicyType="TargetTrackingScaling",
                TargetTrackingScalingPolicyConfiguration=one.policy(endpoint),
            )


def _has_policy(service: Any, endpoint: str, name: str, wanted: Scaling) -> bool:
    """Whether a target has its policy: without, it is half of a registration."""
    answer = service.describe_scaling_policies(**_SPACE, ResourceId=name, PolicyNames=[policy(endpoint)])
    found = [item["TargetTrackingScalingPolicyConfiguration"] for item in answer["ScalingPolicies"]]
    own = wanted.policy(endpoint)
    return any({key: item.get(key) for key in own} == own for item in found)


def deregister(client: Client, endpoint: str, variants: Iterable[str]) -> None:
    """End the scaling of variants, their policies included; silent where there is none."""
    service = client.service("application-autoscaling")
    for variant in variants:
        try:
            service.deregister_scalable_target(**_SPACE, ResourceId=resource(endpoint, variant))
        except Exception as error:
            if not is_kind(error, NotFound):
                raise
