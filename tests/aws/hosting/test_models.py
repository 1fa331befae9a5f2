from __future__ import annotations

from typing import Any

import botocore.exceptions
import pytest

from .rig import BUCKET, IMAGE, ROLE, Cloud, until

ERROR = botocore.exceptions.ClientError


@pytest.fixture(scope="module")
def ready(shared_cloud: Cloud) -> Cloud:
    shared_cloud.model("a")
    return shared_cloud


def container(**options: Any) -> dict[str, Any]:
    return {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/a/model.tar.gz", **options}


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"PrimaryContainer": container(ModelDataUrl="s3://models/no.tar.gz")}, "Could not find model data at s3://"),
        ({"PrimaryContainer": container(Image="mine:1")}, "--image"),
        ({"PrimaryContainer": container(Mode="MultiModel")}, "MultiModel is not emulated"),
        ({"Containers": [container(), container()]}, "several containers"),
        ({}, "One of PrimaryContainer or Containers"),
        ({"PrimaryContainer": container(), "ExecutionRoleArn": ROLE + "-no"}, "Could not assume role"),
        ({"ModelName": "a", "PrimaryContainer": container()}, "Cannot create already existing model"),
        ({"ModelName": "a_b", "PrimaryContainer": container()}, "failed to satisfy constraint"),
    ],
)
def test_models_are_checked(ready: Cloud, options: dict[str, Any], text: str) -> None:
    with pytest.raises(ERROR, match=text):
        ready.sm.create_model(**{"ModelName": "new", "ExecutionRoleArn": ROLE, **options})
    with pytest.raises(ERROR, match="Could not find model"):
        ready.sm.describe_model(ModelName="new")


def test_what_a_model_was_given_is_told(ready: Cloud) -> None:
    network = {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    ready.sm.create_model(
        ModelName="told",
        ExecutionRoleArn=ROLE,
        PrimaryContainer=container(Environment={"K": "v"}),
        VpcConfig=network,
        Tags=[{"Key": "project", "Value": "p"}],
    )
    found = ready.sm.describe_model(ModelName="told")
    assert found["PrimaryContainer"]["Environment"] == {"K": "v"}
    assert found["VpcConfig"] == network
    assert ready.sm.list_tags(ResourceArn=found["ModelArn"])["Tags"] == [{"Key": "project", "Value": "p"}]
    ready.sm.delete_model(ModelName="told")
    with pytest.raises(ERROR, match="Could not find model"):
        ready.sm.delete_model(ModelName="told")


def test_a_model_may_be_a_prefix(ready: Cloud) -> None:
    for name, text in {"weights.json": '{"factor": 3}', "code/inference.py": _script()}.items():
        ready.s3.put_object(Bucket=BUCKET, Key=f"plain/{name}", Body=text.encode())
    source = {"S3Uri": f"s3://{BUCKET}/plain/", "S3DataType": "S3Prefix", "CompressionType": "None"}
    given = {"Image": IMAGE, "ModelDataSource": {"S3DataSource": source}}
    ready.sm.create_model(ModelName="prefix", ExecutionRoleArn=ROLE, PrimaryContainer=given)
    ready.config("prefix", "prefix")
    ready.endpoint("prefix", "prefix")
    assert ready.ask("prefix")["twice"] == 9


def test_an_artifact_that_is_no_archive_fails_the_endpoint(ready: Cloud) -> None:
    ready.s3.put_object(Bucket=BUCKET, Key="torn.tar.gz", Body=b"no archive")
    given = container(ModelDataUrl=f"s3://{BUCKET}/torn.tar.gz")
    ready.sm.create_model(ModelName="torn", ExecutionRoleArn=ROLE, PrimaryContainer=given)
    ready.config("torn", "torn")
    ready.sm.create_endpoint(EndpointName="torn", EndpointConfigName="torn")
    assert "Failed to extract model data archive" in ready.wait("torn", "Failed")["FailureReason"]
    with pytest.raises(ERROR, match="in status Failed"):
        ready.sm.update_endpoint(EndpointName="torn", EndpointConfigName="torn")
    ready.sm.delete_endpoint(EndpointName="torn")
    until(lambda: "torn" not in {one["EndpointName"] for one in ready.sm.list_endpoints()["Endpoints"]})


@pytest.mark.parametrize(
    ("variant", "options", "text"),
    [
        ({"ModelName": "nobody"}, {}, "Could not find model"),
        ({"ServerlessConfig": {"MemorySizeInMB": 1500, "MaxConcurrency": 1}}, {}, "MemorySizeInMB must be one of"),
        ({"AcceleratorType": "ml.eia1.medium"}, {}, "not emulated"),
        ({"InitialVariantWeight": 0.0}, {}, "weight|Weight"),
    ],
)
def test_configurations_are_checked(ready: Cloud, variant: dict[str, Any], options: dict[str, Any], text: str) -> None:
    with pytest.raises(ERROR, match=text):
        ready.config("new", "a", variant=variant, **options)
    with pytest.raises(ERROR, match="Could not find endpoint configuration"):
        ready.sm.describe_endpoint_config(EndpointConfigName="new")


def test_endpoints_need_a_configuration_and_a_free_name(ready: Cloud) -> None:
    with pytest.raises(ERROR, match="Could not find endpoint configuration"):
        ready.sm.create_endpoint(EndpointName="x", EndpointConfigName="nobody")
    with pytest.raises(ERROR, match="Could not find endpoint "):
        ready.sm.describe_endpoint(EndpointName="x")
    ready.config("free", "a")
    ready.endpoint("taken", "free")
    with pytest.raises(ERROR, match="Cannot create already existing endpoint"):
        ready.sm.create_endpoint(EndpointName="taken", EndpointConfigName="free")


def test_lists_are_filtered_before_they_are_cut(ready: Cloud) -> None:
    for number in range(15):
        ready.config(f"many-{number:02}", "a")
        ready.config(f"other-{number:02}", "a")
    pages = ready.sm.get_paginator("list_endpoint_configs").paginate(
        NameContains="many", SortBy="Name", SortOrder="Ascending", PaginationConfig={"PageSize": 6}
    )
    found = [[one["EndpointConfigName"] for one in page["EndpointConfigs"]] for page in pages]
    assert [len(page) for page in found] == [6, 6, 3]
    assert [name for page in found for name in page] == [f"many-{number:02}" for number in range(15)]


def _script() -> str:
    from .rig import SCRIPT

    return SCRIPT
