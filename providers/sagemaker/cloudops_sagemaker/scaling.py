"""Replicas that are added and removed by themselves: application-autoscaling's target and policy of a variant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cloudops.errors import NotFound

from .errors import is_kind
from .serving import MAIN

if TYPE_CHECKING:
    from .client import Client

_SPACE = {"ServiceNamespace": "sagemaker", "ScalableDimension": "sagemaker:variant:DesiredInstanceCount"}
_METRIC = "SageMakerVariantInvocationsPerInstance"
_TARGET, _IN, _OUT = 600.0, 300.0, 60.0


def resource(endpoint: str) -> str:
    """What scales, as the service calls it."""
    return f"endpoint/{endpoint}/variant/{MAIN}"


def policy(endpoint: str) -> str:
    """The name of the policy by which it scales."""
    return f"cloudops-{endpoint}"


def register(client: Client, endpoint: str, tags: Mapping[str, str]) -> None:
    """Have the replicas of an endpoint in service scale as the tags of its configuration say."""
    low, _, high = tags.get("replicas", "").partition(":")
    if not high:
        return
    target, scale_in, scale_out = _TARGET, _IN, _OUT
    if tags.get("scaling"):
        target, scale_in, scale_out = map(float, tags["scaling"].split(":"))
    service, name = client.service("application-autoscaling"), resource(endpoint)
    service.register_scalable_target(**_SPACE, ResourceId=name, MinCapacity=int(low), MaxCapacity=int(high))
    service.put_scaling_policy(
        **_SPACE,
        PolicyName=policy(endpoint),
        ResourceId=name,
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": target,
            "PredefinedMetricSpecification": {"PredefinedMetricType": _METRIC},
            "ScaleInCooldown": int(scale_in),
            "ScaleOutCooldown": int(scale_out),
        },
    )


def registered(client: Client, endpoint: str) -> bool:
    """Whether the endpoint's replicas scale: a target without its policy is half of a registration."""
    answer = client.service("application-autoscaling").describe_scaling_policies(
        **_SPACE, ResourceId=resource(endpoint), PolicyNames=[policy(endpoint)]
    )
    return bool(answer["ScalingPolicies"])


def deregister(client: Client, endpoint: str) -> None:
    """End the scaling, its policy included; silent where there is none."""
    try:
        client.service("application-autoscaling").deregister_scalable_target(**_SPACE, ResourceId=resource(endpoint))
    except Exception as error:
        if not is_kind(error, NotFound):
            raise
