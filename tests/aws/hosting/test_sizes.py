"""Instances have the cores and the memory of their type, and there are no accelerators."""

from __future__ import annotations

import os
from typing import Any

import botocore.exceptions
import botocore.session
import pytest
from cloudops_sagemaker.emulator.instances import instance

from .rig import BUCKET, IMAGE, ROLE, SCRIPT, Cloud, until

#: Tells what it may use, and uses memory.
SIZES = SCRIPT.replace(
    'return {"name": NAME,',
    """if data.get("grow"):
        globals()["HELD"] = b"x" * (data["grow"] << 20)
        time.sleep(5)
    return {"cores": len(os.sched_getaffinity(0)), "threads": os.environ["OMP_NUM_THREADS"], "name": NAME,""",
)


def refusal(function: Any, **params: Any) -> tuple[str, str]:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        function(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def component(cloud: Cloud, name: str, **needs: Any) -> str:
    cloud.sm.create_inference_component(
        InferenceComponentName=name,
        EndpointName="e",
        VariantName="v0",
        Specification={
            "Container": {"Image": IMAGE, "ArtifactUrl": cloud.artifact(name, SIZES)},
            "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 128, **needs},
        },
        RuntimeConfig={"CopyCount": 1},
    )
    described = lambda: cloud.sm.describe_inference_component(InferenceComponentName=name)  # noqa: E731
    until(lambda: described()["InferenceComponentStatus"] == "InService", 60, described)
    return name


def empty_endpoint(cloud: Cloud, kind: str = "ml.m5.large") -> None:
    variant = {"VariantName": "v0", "InstanceType": kind, "InitialInstanceCount": 1}
    cloud.sm.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant], ExecutionRoleArn=ROLE)
    cloud.endpoint("e", "c")


def test_every_type_without_an_accelerator_is_known() -> None:
    model = botocore.session.get_session().get_service_model("sagemaker")
    for shape in ("ProductionVariantInstanceType", "TransformInstanceType", "TrainingInstanceType"):
        unknown = {name.split(".")[1] for name in model.shape_for(shape).enum if instance(name) is None}
        assert all(family.startswith(("p", "g", "inf", "trn", "dl")) for family in unknown), unknown


def test_libraries_are_told_the_cores_of_the_type(cloud: Cloud) -> None:
    cloud.config("c", cloud.model("a", SIZES), variant={"InstanceType": "ml.c5.4xlarge"})
    cloud.endpoint("e", "c")
    assert cloud.ask()["threads"] == "16"


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one core")
def test_a_copy_has_the_cores_that_it_requires(cloud: Cloud) -> None:
    empty_endpoint(cloud)
    component(cloud, "part", NumberOfCpuCoresRequired=1)
    answer = cloud.ask("e", InferenceComponentName="part")
    assert (answer["cores"], answer["threads"]) == (1, "1")


def test_what_takes_more_memory_than_it_has_is_started_anew(cloud: Cloud) -> None:
    empty_endpoint(cloud)
    component(cloud, "part", MaxMemoryRequiredInMb=300)
    before = cloud.ask("e", InferenceComponentName="part")["pid"]
    with pytest.raises(botocore.exceptions.ClientError):
        cloud.ask("e", {"grow": 400}, InferenceComponentName="part")

    def again() -> int:
        try:
            return int(cloud.ask("e", InferenceComponentName="part")["pid"])
        except botocore.exceptions.ClientError:
            return 0

    assert until(again) != before
    logs = cloud.client("logs")
    found = lambda: [  # noqa: E731
        one["message"] for one in logs.filter_log_events(logGroupName="/aws/sagemaker/Endpoints/e")["events"]
    ]
    until(lambda: any(line.startswith("[offline] out of memory: used ") for line in found()), 30, found)


@pytest.mark.parametrize(
    ("needs", "text"),
    [
        ({"NumberOfAcceleratorDevicesRequired": 1}, "no accelerators"),
        ({"NumberOfCpuCoresRequired": 4}, "requires 4 CPU cores"),
        ({"MinMemoryRequiredInMb": 500, "MaxMemoryRequiredInMb": 400}, "must not be more"),
        ({"MaxMemoryRequiredInMb": 9000}, "up to 9000 MB of memory; an instance of type ml.m5.large has 2 and 8192 MB"),
    ],
)
def test_a_component_that_no_instance_can_hold(cloud: Cloud, needs: dict[str, Any], text: str) -> None:
    empty_endpoint(cloud)
    specification = {
        "Container": {"Image": IMAGE, "ArtifactUrl": cloud.artifact()},
        "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 128, **needs},
    }
    code, message = refusal(
        cloud.sm.create_inference_component,
        InferenceComponentName="part",
        EndpointName="e",
        VariantName="v0",
        Specification=specification,
        RuntimeConfig={"CopyCount": 1},
    )
    assert (code, text in message) == ("ValidationException", True), message


def test_there_are_no_accelerators(cloud: Cloud) -> None:
    cloud.config("gpu", cloud.model("a"), variant={"InstanceType": "ml.g5.xlarge"})
    code, text = refusal(cloud.sm.create_endpoint, EndpointName="e", EndpointConfigName="gpu")
    assert code == "ResourceLimitExceeded"
    assert text.startswith("The account-level service limit 'ml.g5.xlarge for endpoint usage' is 0 Instances, with ")
    cloud.config("c", "a")
    cloud.endpoint("e", "c")
    assert refusal(cloud.sm.update_endpoint, EndpointName="e", EndpointConfigName="gpu")[0] == code


def test_there_are_so_many_instances_and_no_more(cloud: Cloud) -> None:
    cloud.config("many", cloud.model("a"), count=1001)
    code, text = refusal(cloud.sm.create_endpoint, EndpointName="many", EndpointConfigName="many")
    assert (code, "'ml.m5.large for endpoint usage' is 1000 Instances" in text) == ("ResourceLimitExceeded", True)
    cloud.config("c", "a")
    cloud.endpoint("e", "c")
    wanted = [{"VariantName": "v0", "DesiredInstanceCount": 1001}]
    code, text = refusal(
        cloud.sm.update_endpoint_weights_and_capacities, EndpointName="e", DesiredWeightsAndCapacities=wanted
    )
    assert (code, "utilization of 1 Instances and a request delta of 1000" in text) == ("ResourceLimitExceeded", True)
    assert cloud.sm.describe_endpoint(EndpointName="e")["EndpointStatus"] == "InService"


def test_a_transform_has_instances_of_a_type_too(cloud: Cloud) -> None:
    cloud.s3.put_object(Bucket=BUCKET, Key="in/a.json", Body=b'{"x": 1}')
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/in/"}}
    request = {
        "ModelName": cloud.model("a", SIZES),
        "TransformInput": {"DataSource": source, "ContentType": "application/json"},
        "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/out"},
    }
    resources = {"InstanceType": "ml.g4dn.xlarge", "InstanceCount": 1}
    code, text = refusal(cloud.sm.create_transform_job, TransformJobName="t", TransformResources=resources, **request)
    assert (code, "'ml.g4dn.xlarge for transform job usage' is 0" in text) == ("ResourceLimitExceeded", True)
    resources = {"InstanceType": "ml.c5.4xlarge", "InstanceCount": 1}
    cloud.sm.create_transform_job(TransformJobName="t", TransformResources=resources, **request)
    described = lambda: cloud.sm.describe_transform_job(TransformJobName="t")  # noqa: E731
    until(lambda: described()["TransformJobStatus"] == "Completed", 60, described)
    assert b'"threads": "16"' in cloud.s3.get_object(Bucket=BUCKET, Key="out/a.json.out")["Body"].read()
