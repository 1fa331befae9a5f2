from __future__ import annotations

from typing import Any

import botocore.exceptions
import pytest

from .rig import Cloud, until

TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/e/variant/v0",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


def policy(goal: float, **options: Any) -> dict[str, Any]:
    metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}
    return {
        "PolicyName": "track",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": goal,
            "PredefinedMetricSpecification": metric,
            **options,
        },
    }


def count(cloud: Cloud) -> int:
    found = cloud.sm.describe_endpoint(EndpointName="e")
    variant = found["ProductionVariants"][0]
    return variant["CurrentInstanceCount"] if found["EndpointStatus"] == "InService" else -1


def minute(cloud: Cloud, requests: int) -> None:
    """One minute of the offline clock with so many requests."""
    for _ in range(requests):
        cloud.ask()
    cloud.advance(60)
    cloud.cloudwatch.describe_alarms()


def test_a_fleet_grows_with_its_traffic_and_shrinks_again(cloud: Cloud) -> None:
    cloud.config("c", cloud.model("a"))
    cloud.endpoint("e", "c")
    scaling = cloud.client("application-autoscaling")
    scaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=3)
    put = scaling.put_scaling_policy(**TARGET, **policy(5, ScaleInCooldown=60, ScaleOutCooldown=60))
    names = [one["AlarmName"] for one in put["Alarms"]]
    assert [name.split("-")[-6] for name in names] == ["AlarmHigh", "AlarmLow"]
    for _ in range(4):
        minute(cloud, 12)
    until(lambda: count(cloud) == 3)
    activity = scaling.describe_scaling_activities(ServiceNamespace="sagemaker")["ScalingActivities"][0]
    assert activity["Description"] == "Setting desired instance count to 3."
    assert "AlarmHigh" in activity["Cause"]
    for _ in range(20):
        minute(cloud, 1)
    until(lambda: count(cloud) == 1)
    scaling.deregister_scalable_target(**TARGET)
    assert not cloud.cloudwatch.describe_alarms()["MetricAlarms"]


def test_without_traffic_there_is_no_metric_to_shrink_by(cloud: Cloud) -> None:
    """As on the service, which measures nothing where nobody asks."""
    cloud.config("c", cloud.model("a"), count=2)
    cloud.endpoint("e", "c")
    scaling = cloud.client("application-autoscaling")
    scaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=3)
    scaling.put_scaling_policy(**TARGET, **policy(100))
    minute(cloud, 2)
    for _ in range(20):
        minute(cloud, 0)
    assert count(cloud) == 2
    states = {one["StateValue"] for one in cloud.cloudwatch.describe_alarms()["MetricAlarms"]}
    assert states == {"INSUFFICIENT_DATA"}


def test_bounds_hold_from_the_start(cloud: Cloud) -> None:
    cloud.config("c", cloud.model("a"))
    cloud.endpoint("e", "c")
    scaling = cloud.client("application-autoscaling")
    scaling.register_scalable_target(**TARGET, MinCapacity=2, MaxCapacity=3)
    until(lambda: count(cloud) == 2)


def test_what_cannot_be_scaled_is_refused(cloud: Cloud) -> None:
    scaling = cloud.client("application-autoscaling")
    error = botocore.exceptions.ClientError
    with pytest.raises(error, match="Could not find endpoint"):
        scaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=2)
    with pytest.raises(error, match="No scalable target registered"):
        scaling.put_scaling_policy(**TARGET, **policy(5))
    other = {**TARGET, "ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency"}
    with pytest.raises(error, match="not emulated"):
        scaling.register_scalable_target(**other, MinCapacity=1, MaxCapacity=2)
