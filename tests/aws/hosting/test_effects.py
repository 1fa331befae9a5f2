"""What has no effect on this machine is told in the log; what would change the outcome is refused or honoured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import botocore.exceptions
import botocore.session
import pytest
from cloudops_sagemaker.emulator import aws

from .rig import BUCKET, IMAGE, ROLE, SCRIPT, Cloud, until

KEY = "arn:aws:kms:us-east-1:123456789012:key/mine"
VPC = {"Subnets": ["subnet-0a"], "SecurityGroupIds": ["sg-0a"]}
#: Tells which of the role's credentials it sees.
PEEKING = SCRIPT.replace(
    'return {"name": NAME,', 'return {"key": os.environ.get("AWS_ACCESS_KEY_ID", ""), "name": NAME,'
)


def told(cloud: Cloud, group: str) -> list[str]:
    """What the offline cloud says itself in a log."""

    def look() -> list[str]:
        try:
            events = cloud.client("logs").filter_log_events(logGroupName=group)["events"]
        except botocore.exceptions.ClientError:
            return []
        return [one["message"] for one in events if one["message"].startswith("[offline]")]

    found = until(look)
    assert isinstance(found, list)
    return found


def test_an_endpoint_says_what_it_does_not_do(cloud: Cloud) -> None:
    container = {"Image": IMAGE, "ModelDataUrl": cloud.artifact(), "ContainerHostname": "mine"}
    cloud.sm.create_model(ModelName="a", ExecutionRoleArn=ROLE, PrimaryContainer=container, VpcConfig=VPC)
    options = {"VolumeSizeInGB": 50, "EnableSSMAccess": True}
    cloud.config("c", "a", variant=options, KmsKeyId=KEY)
    cloud.endpoint("e", "c")
    image, unused = told(cloud, "/aws/sagemaker/Endpoints/e")
    assert image.startswith(f"[offline] image {IMAGE}: Python ")
    assert unused == (
        "[offline] without effect here: VolumeSizeInGB, EnableSSMAccess, KmsKeyId of the configuration, "
        "VpcConfig of the model, ContainerHostname of the model"
    )


def test_an_endpoint_that_asks_for_nothing_more_says_nothing_more(cloud: Cloud) -> None:
    cloud.config("c", cloud.model("a"))
    cloud.endpoint("e", "c")
    assert len(told(cloud, "/aws/sagemaker/Endpoints/e")) == 1


def test_an_isolated_model_has_no_credentials(cloud: Cloud) -> None:
    for name, isolated in (("open", False), ("shut", True)):
        container = {"Image": IMAGE, "ModelDataUrl": cloud.artifact(name, PEEKING)}
        cloud.sm.create_model(
            ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container, EnableNetworkIsolation=isolated
        )
        cloud.config(name, name)
        cloud.endpoint(name, name)
    assert cloud.ask("open")["key"]
    assert not cloud.ask("shut")["key"]
    assert any("EnableNetworkIsolation" in line for line in told(cloud, "/aws/sagemaker/Endpoints/shut"))


def test_a_download_has_its_time(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = aws.download

    def slow(*arguments: Any) -> None:
        plain(*arguments)
        cloud.advance(100)

    monkeypatch.setattr(aws, "download", slow)
    cloud.config("short", cloud.model("a"), variant={"ModelDataDownloadTimeoutInSeconds": 60})
    cloud.sm.create_endpoint(EndpointName="short", EndpointConfigName="short")
    assert "ModelDataDownloadTimeoutInSeconds" in cloud.wait("short", "Failed")["FailureReason"]
    cloud.config("long", "a", variant={"ModelDataDownloadTimeoutInSeconds": 600})
    cloud.endpoint("long", "long")


def test_what_would_change_the_outcome_is_refused(cloud: Cloud) -> None:
    source = {"S3Uri": cloud.artifact(), "S3DataType": "S3Object", "CompressionType": "Gzip"}
    container = {"Image": IMAGE, "ModelDataSource": {"S3DataSource": {**source, "ManifestS3Uri": f"s3://{BUCKET}/m"}}}
    with pytest.raises(botocore.exceptions.ClientError, match="ManifestS3Uri is not emulated"):
        cloud.sm.create_model(ModelName="a", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    routing = {"RoutingConfig": {"RoutingStrategy": "KV_AWARE"}}
    with pytest.raises(botocore.exceptions.ClientError, match="RoutingStrategy KV_AWARE of variant v0 is not"):
        cloud.config("c", cloud.model("a"), variant=routing)


def test_a_transform_says_so_too_and_its_outputs_name_their_key(cloud: Cloud) -> None:
    cloud.s3.put_object(Bucket=BUCKET, Key="in/a.json", Body=b'{"x": 1}')
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/in/"}}
    cloud.sm.create_transform_job(
        TransformJobName="t",
        ModelName=cloud.model("a"),
        TransformInput={"DataSource": source, "ContentType": "application/json"},
        TransformOutput={"S3OutputPath": f"s3://{BUCKET}/out", "KmsKeyId": KEY},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeKmsKeyId": KEY},
    )
    described = lambda: cloud.sm.describe_transform_job(TransformJobName="t")  # noqa: E731
    until(lambda: described()["TransformJobStatus"] == "Completed", 60, described)
    assert cloud.s3.head_object(Bucket=BUCKET, Key="out/a.json.out")["SSEKMSKeyId"] == KEY
    lines = told(cloud, "/aws/sagemaker/TransformJobs")
    assert "[offline] without effect here: VolumeKmsKeyId" in lines


#: Of these, every member is honoured, refused or told: its name is in the emulator's code.
SHAPES = [
    "CreateTrainingJobRequest",
    "AlgorithmSpecification",
    "ResourceConfig",
    "StoppingCondition",
    "Channel",
    "S3DataSource",
    "OutputDataConfig",
    "CheckpointConfig",
    "CreateModelInput",
    "ContainerDefinition",
    "S3ModelDataSource",
    "CreateEndpointConfigInput",
    "ProductionVariant",
    "ProductionVariantServerlessConfig",
    "ProductionVariantManagedInstanceScaling",
    "DataCaptureConfig",
    "AsyncInferenceConfig",
    "AsyncInferenceOutputConfig",
    "CreateEndpointInput",
    "UpdateEndpointInput",
    "BlueGreenUpdatePolicy",
    "RollingUpdatePolicy",
    "InferenceComponentSpecification",
    "InferenceComponentComputeResourceRequirements",
    "InferenceComponentStartupParameters",
    "CreateTransformJobRequest",
    "TransformInput",
    "TransformOutput",
    "TransformResources",
    "ModelClientConfig",
    "DataProcessing",
]


@pytest.mark.parametrize("shape", SHAPES)
def test_no_member_is_passed_over(shape: str) -> None:
    model = botocore.session.get_session().get_service_model("sagemaker")
    code = "".join(path.read_text(encoding="utf-8") for path in Path(aws.__file__).parent.glob("*.py"))
    unknown = [name for name in model.shape_for(shape).members if f'"{name}"' not in code]
    assert not unknown, "honour them, refuse them, or tell them in effects.py"
