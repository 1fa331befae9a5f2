"""Replicas that are added and removed by themselves: application-autoscaling's targets and policies of variants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cloudops.errors import NotFound

from .errors import is_kind

if TYPE_CHECKING:
    from .client import Client
    from .scalings import Scaling

_SPACE = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}


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
