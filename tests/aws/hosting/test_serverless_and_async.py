from __future__ import annotations

import json
import threading
import time
from typing import Any

import botocore.exceptions
import pytest

from .rig import BUCKET, ROLE, Cloud, until


def serverless(cloud: Cloud, model: str, limit: int = 2) -> None:
    variant = {
        "VariantName": "v0",
        "ModelName": model,
        "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": limit},
    }
    cloud.sm.create_endpoint_config(EndpointConfigName="serverless", ProductionVariants=[variant])
    cloud.endpoint("e", "serverless")


def test_instances_of_a_serverless_endpoint_come_and_go(cloud: Cloud) -> None:
    serverless(cloud, cloud.model("a"))
    found = cloud.sm.describe_endpoint(EndpointName="e")["ProductionVariants"][0]
    assert found["CurrentServerlessConfig"]["MaxConcurrency"] == 2
    first = cloud.ask()["pid"]
    assert cloud.ask()["pid"] == first
    cloud.advance(400)  # nobody asks: the instance is taken away
    import psutil

    until(lambda: not psutil.pid_exists(first))
    started = time.time()
    second = cloud.ask()["pid"]
    assert second != first
    points = cloud.cloudwatch.get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName="ModelSetupTime",
        Dimensions=[{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "v0"}],
        StartTime=started - 60,
        EndTime=time.time() + 60,
        Period=60,
        Statistics=["SampleCount"],
    )["Datapoints"]
    assert sum(point["SampleCount"] for point in points) == 1


def test_a_serverless_endpoint_grows_to_its_limit(cloud: Cloud) -> None:
    serverless(cloud, cloud.model("a"))
    found: list[Any] = []

    def ask() -> None:
        try:
            found.append(cloud.ask(data={"sleep": 3})["pid"])
        except botocore.exceptions.ClientError as error:
            found.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    pids = {one for one in found if isinstance(one, int)}
    assert len(pids) == 2, found
    assert found.count("ThrottlingException") == 1


def test_an_instance_that_takes_too_much_memory_is_ended(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    from cloudops_sagemaker.emulator import hosted

    from cloudops.offline.machines.replicas import Health

    def health(self: Any, timeout: float, memory: int | None = None) -> Health:
        assert memory == 2048 << 20
        return Health(timeout, memory=100 << 20)

    monkeypatch.setattr(hosted.Hosted, "health", health)
    script = """
import os, time

KEPT = []

def model_fn(model_dir):
    return None

def transform_fn(model, data, content_type, accept):
    if data == "much":
        KEPT.append(os.urandom(200 << 20))
        time.sleep(30)
    return str(os.getpid()), "text/plain"
"""
    serverless(cloud, cloud.model("large", script))

    def pid(body: bytes) -> bytes:
        answer = cloud.runtime.invoke_endpoint(EndpointName="e", ContentType="text/csv", Body=body)
        return bytes(answer["Body"].read())

    first = pid(b"little")
    with pytest.raises(cloud.runtime.exceptions.ModelError):
        pid(b"much")
    assert pid(b"little") != first


def asynchronous(cloud: Cloud, model: str) -> None:
    output = {"S3OutputPath": f"s3://{BUCKET}/results", "S3FailurePath": f"s3://{BUCKET}/failures"}
    cloud.config("async", model, AsyncInferenceConfig={"OutputConfig": output})
    cloud.endpoint("e", "async")


def ask(cloud: Cloud, data: Any, key: str = "question") -> dict[str, Any]:
    cloud.s3.put_object(Bucket=BUCKET, Key=key, Body=json.dumps(data).encode())
    location = f"s3://{BUCKET}/{key}"
    return cloud.runtime.invoke_endpoint_async(EndpointName="e", InputLocation=location, ContentType="application/json")


def read(cloud: Cloud, uri: str) -> bytes | None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        return cloud.s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except cloud.s3.exceptions.NoSuchKey:
        return None


def test_asynchronous_answers_lie_in_s3(cloud: Cloud) -> None:
    asynchronous(cloud, cloud.model("a"))
    accepted = ask(cloud, {"x": 4, "sleep": 0.5})
    assert accepted["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert read(cloud, accepted["OutputLocation"]) is None
    assert json.loads(until(lambda: read(cloud, accepted["OutputLocation"])))["twice"] == 8
    refused = ask(cloud, {"fail": True})
    assert b"asked to fail" in until(lambda: read(cloud, refused["FailureLocation"]))
    with pytest.raises(botocore.exceptions.ClientError, match="does not support this operation"):
        cloud.ask()


def test_an_asynchronous_endpoint_rests_at_no_instance(cloud: Cloud) -> None:
    """Scaled to zero it queues; the backlog without capacity brings an instance back."""
    asynchronous(cloud, cloud.model("a"))
    scaling = cloud.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/e/variant/v0",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=2)
    policy = scaling.put_scaling_policy(
        **target,
        PolicyName="wake",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "Cooldown": 60,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
        },
    )
    cloud.cloudwatch.put_metric_alarm(
        AlarmName="backlog",
        Namespace="AWS/SageMaker",
        MetricName="HasBacklogWithoutCapacity",
        Dimensions=[{"Name": "EndpointName", "Value": "e"}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="missing",
        AlarmActions=[policy["PolicyARN"]],
    )
    wanted = [{"VariantName": "v0", "DesiredInstanceCount": 0}]
    cloud.sm.update_endpoint_weights_and_capacities(EndpointName="e", DesiredWeightsAndCapacities=wanted)
    assert cloud.wait("e")["ProductionVariants"][0]["CurrentInstanceCount"] == 0
    accepted = ask(cloud, {"x": 5})
    answer = until(lambda: read(cloud, accepted["OutputLocation"]), 40)
    assert json.loads(answer)["twice"] == 10


def test_a_component_goes_to_zero_copies_and_back(cloud: Cloud) -> None:
    variant = {
        "VariantName": "v0",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        "ManagedInstanceScaling": {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2},
    }
    cloud.sm.create_endpoint_config(EndpointConfigName="parts", ExecutionRoleArn=ROLE, ProductionVariants=[variant])
    cloud.endpoint("e", "parts")
    cloud.sm.create_inference_component(
        InferenceComponentName="part",
        EndpointName="e",
        VariantName="v0",
        Specification={
            "ModelName": cloud.model("a"),
            "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 128},
        },
        RuntimeConfig={"CopyCount": 1},
    )

    def settled() -> dict[str, Any] | None:
        found = cloud.sm.describe_inference_component(InferenceComponentName="part")
        return found if found["InferenceComponentStatus"] == "InService" else None

    assert until(settled)["RuntimeConfig"] == {"DesiredCopyCount": 1, "CurrentCopyCount": 1}
    assert cloud.ask(InferenceComponentName="part")["twice"] == 6
    with pytest.raises(botocore.exceptions.ClientError, match="InferenceComponentName is required"):
        cloud.ask()
    scaling = cloud.client("application-autoscaling")
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "inference-component/part",
        "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
    }
    scaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=2)
    cloud.sm.update_inference_component_runtime_config(
        InferenceComponentName="part", DesiredRuntimeConfig={"CopyCount": 0}
    )
    assert until(settled)["RuntimeConfig"]["CurrentCopyCount"] == 0
    found = cloud.sm.describe_endpoint(EndpointName="e")["ProductionVariants"][0]
    assert found["CurrentInstanceCount"] == 0
    with pytest.raises(botocore.exceptions.ClientError, match="has no capacity to process this request"):
        cloud.ask(InferenceComponentName="part")
    # A target below its minimum is brought up to it.
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    until(lambda: (found := settled()) and found["RuntimeConfig"]["CurrentCopyCount"] == 1)
    assert cloud.ask(InferenceComponentName="part")["twice"] == 6
    with pytest.raises(botocore.exceptions.ClientError, match="has inference components"):
        cloud.sm.delete_endpoint(EndpointName="e")
    cloud.sm.delete_inference_component(InferenceComponentName="part")
    until(lambda: not cloud.sm.list_inference_components()["InferenceComponents"])
    cloud.sm.delete_endpoint(EndpointName="e")
    until(lambda: not cloud.sm.list_endpoints()["Endpoints"])
