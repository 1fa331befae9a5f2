"""What ``cloudops offline status`` lists of the services around SageMaker."""

from __future__ import annotations

import json

import pytest

from .rig import ROLE, Rig


@pytest.fixture
def rig(tmp_path):
    """An emulator of its own: alarms go by its clock, and its endpoints by an attendant."""
    rig = Rig(tmp_path)
    yield rig
    rig.emulator.reset()  # moto's services are one for the process: the next one begins without these
    rig.close()


def listed(rig, *names):
    return [(one.kind, one.name, one.state, one.place) for one in rig.emulator.resources() if one.name in names]


def test_buckets_and_roles_and_secrets(rig):
    trust = {"Version": "2012-10-17", "Statement": []}
    rig.client("s3", "eu-west-1").create_bucket(
        Bucket="forgotten", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    rig.client("iam").create_role(RoleName="mine", AssumeRolePolicyDocument=json.dumps(trust))
    secrets = rig.client("secretsmanager", "eu-central-1")
    secrets.create_secret(Name="kept", SecretString="x")
    secrets.create_secret(Name="going", SecretString="x")
    secrets.delete_secret(SecretId="going")
    assert listed(rig, "forgotten", "mine", "kept", "going", ROLE.rpartition("/")[2]) == [
        ("bucket", "forgotten", "", "eu-west-1"),
        ("role", "mine", "", ""),
        ("secret", "kept", "", "eu-central-1"),
        ("secret", "going", "scheduled for deletion", "eu-central-1"),
    ]


def test_alarms_tell_their_present_state(rig):
    cloudwatch = rig.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="errors",
        Namespace="N",
        MetricName="m",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=0,
        ComparisonOperator="GreaterThanThreshold",
    )
    assert listed(rig, "errors") == [("alarm", "errors", "INSUFFICIENT_DATA", "us-east-1")]
    cloudwatch.put_metric_data(Namespace="N", MetricData=[{"MetricName": "m", "Value": 1.0}])
    rig.clock.advance(30)  # nobody has asked CloudWatch since
    assert listed(rig, "errors") == [("alarm", "errors", "ALARM", "us-east-1")]


def test_scaling_and_log_groups(rig):
    rig.client("logs", "us-west-2").create_log_group(logGroupName="/mine")
    sm, scaling = rig.sm, rig.client("application-autoscaling")
    container = {
        "Image": "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3",
        "ModelDataUrl": rig.put("m/model.tar.gz", "not fetched: health checks never begin"),
    }
    sm.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {"VariantName": "v", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sm.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    sm.create_endpoint(EndpointName="e", EndpointConfigName="c")
    what = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/e/variant/v",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(MinCapacity=1, MaxCapacity=3, **what)
    scaling.put_scaling_policy(
        PolicyName="p",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 10.0,
            "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
        },
        **what,
    )
    assert listed(rig, "endpoint/e/variant/v", "endpoint/e/variant/v/p") == [
        ("scalable-target", "endpoint/e/variant/v", "1 to 3", "us-east-1"),
        ("scaling-policy", "endpoint/e/variant/v/p", "", "us-east-1"),
    ]
    assert ("log-group", "/mine", "", "us-west-2") in listed(rig, "/mine")


def test_ages_are_real_however_far_the_clock_was_moved(rig):
    rig.clock.advance(86400)
    rig.s3.create_bucket(Bucket="new")
    rig.client("logs").create_log_group(logGroupName="/new")
    found = [one for one in rig.emulator.resources() if one.name in ("new", "/new")]
    assert len(found) == 2
    for one in found:
        assert 0 <= rig.clock.now() - one.created < 60, one
