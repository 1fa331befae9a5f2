"""A job's request becomes CreateTrainingJob and what the container reads."""

from __future__ import annotations

import json
from pathlib import Path

import botocore.session
import pytest
from botocore.validate import validate_parameters
from cloudops_sagemaker import jobs
from cloudops_sagemaker.options import SageMakerJobOptions

from cloudops.errors import CloudopsError, ConfigError, InvalidRequest, UnsupportedFeature

from .requests import DIGEST, ROLE, job, where

RUNTIME = "cloudops_runtime-0.pyz"


def native(request, **settings):
    prepared = jobs.prepare(request, where(**settings), RUNTIME)
    model = botocore.session.get_session().get_service_model("sagemaker")
    validate_parameters(prepared.native, model.operation_model("CreateTrainingJob").input_shape)
    return prepared.native


def test_a_job_is_one_request() -> None:
    found = native(job(params={"lr": 0.1, "name": "a"}, envs={"A": "b"}, timeout="10m"))
    assert found["TrainingJobName"] == "small-train-0123456789"
    assert found["RoleArn"] == ROLE
    assert found["HyperParameters"] == {"lr": "0.1", "name": '"a"'}
    assert found["Environment"] == {"A": "b"}
    assert found["StoppingCondition"] == {"MaxRuntimeInSeconds": 600 + 30 + 1800}
    assert found["OutputDataConfig"] == {"S3OutputPath": "s3://models/cloudops/small/jobs"}
    tags = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
    assert (tags["cloudops:project"], tags["cloudops:step"], tags["cloudops:code"]) == ("small", "train", DIGEST)
    assert all(len(value) <= 256 for value in tags.values())
    assert all(len(word) <= 256 for word in found["AlgorithmSpecification"]["ContainerEntrypoint"])


def test_settings_of_the_target_are_honoured() -> None:
    found = native(
        job(),
        prefix="teams/a",
        subnets=["subnet-1"],
        security_group_ids=["sg-1"],
        volume_kms_key="alias/v",
        output_kms_key="alias/o",
        encrypt_traffic=True,
        tags={"cost": "42"},
    )
    assert found["VpcConfig"] == {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    assert found["ResourceConfig"]["VolumeKmsKeyId"] == "alias/v"
    assert found["OutputDataConfig"] == {"S3OutputPath": "s3://models/teams/a/small/jobs", "KmsKeyId": "alias/o"}
    assert found["EnableInterContainerTrafficEncryption"] is True
    assert {"Key": "cost", "Value": "42"} in found["Tags"]


def test_options_are_honoured() -> None:
    options = SageMakerJobOptions(
        instance_type="ml.m5.4xlarge", input_mode="FastFile", keep_alive="10m", metric_definitions={"auc": "auc=(.*)"}
    )
    found = native(job(options=options, inputs={"train": "s3://b/x/"}))
    assert found["ResourceConfig"]["InstanceType"] == "ml.m5.4xlarge"
    assert found["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 600
    assert found["AlgorithmSpecification"]["MetricDefinitions"] == [{"Name": "auc", "Regex": "auc=(.*)"}]
    modes = {channel["ChannelName"]: channel["InputMode"] for channel in found["InputDataConfig"]}
    assert modes == {"cloudops-job": "File", "cloudops-code": "File", "train": "FastFile"}


def test_spot_machines_have_a_time_to_wait() -> None:
    found = native(job(resources={"use_spot": True}, timeout="1h", options=SageMakerJobOptions(max_wait="10h")))
    assert found["EnableManagedSpotTraining"] is True
    assert found["StoppingCondition"]["MaxWaitTimeInSeconds"] == 36000
    assert found["CheckpointConfig"]["S3Uri"] == "s3://models/cloudops/small/checkpoints/small-train-0123456789"


def test_inputs_are_channels(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("x\n")
    sources = {
        "file": str(tmp_path / "table.csv"),
        "folder": str(tmp_path),
        "pattern": str(tmp_path / "*.csv"),
        "object": "s3://b/data/table.csv",
        "prefix": "s3://b/data/",
        "some": "s3://b/data/*.csv",
        "web": "https://host/table.csv?x=1",
    }
    request = job(inputs=sources)
    channels = {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"] for channel in native(request)["InputDataConfig"]
    }
    assert channels["object"]["S3Uri"] == "s3://b/data/table.csv"
    assert channels["prefix"]["S3Uri"] == "s3://b/data/"
    assert channels["some"]["S3DataType"] == "ManifestFile"
    for name in ("file", "folder", "pattern", "web"):
        assert channels[name]["S3Uri"].startswith("s3://models/cloudops/small/data/")
    paths = jobs.boot_document(request, RUNTIME, False)["job"]["inputs"]
    assert paths == {
        "file": "input/data/file/table.csv",
        "folder": "input/data/folder",
        "pattern": "input/data/pattern",
        "object": "input/data/object/table.csv",
        "prefix": "input/data/prefix",
        "some": "input/data/some",
        "web": "input/data/web/table.csv",
    }


def test_the_model_of_a_job_is_unpacked_for_an_evaluation() -> None:
    source = "s3://models/cloudops/small/jobs/small-train-1/output/model.tar.gz"
    found = jobs.boot_document(job(step="evaluate", inputs={"model": source}), RUNTIME, False)
    assert found["unpack"] == {"model": "input/data/model/model.tar.gz"}
    assert found["job"]["inputs"] == {}
    other = jobs.boot_document(job(inputs={"model": source}), RUNTIME, False)
    assert (other["unpack"], other["job"]["inputs"]) == ({}, {"model": "input/data/model/model.tar.gz"})


def test_outputs_are_files_that_others_can_read() -> None:
    assert native(job(outputs=["table"]))["OutputDataConfig"]["CompressionType"] == "NONE"
    assert jobs.boot_document(job(outputs=["table"]), RUNTIME, False)["job"]["outputs"] == {
        "table": "output/data/outputs/table"
    }


def test_what_does_not_fit_the_description_travels_beside_it() -> None:
    request = job(params={"long": "x" * 3000}, envs={"LONG": "y" * 600, "SHORT": "z"})
    prepared = jobs.prepare(request, where(), RUNTIME)
    assert native(request)["HyperParameters"] == {}
    assert native(request)["Environment"] == {"SHORT": "z"}
    assert prepared.boot["env"] == {"LONG": "y" * 600}
    assert prepared.boot["job"]["params"] == {"long": "x" * 3000}
    assert any("train.params" in note for note in prepared.notes)
    assert any("train.envs" in note for note in prepared.notes)


def test_a_bound_over_all_attempts_that_the_service_sets_is_noted() -> None:
    prepared = jobs.prepare(job(timeout="20d", retries=1), where(), RUNTIME)
    assert prepared.native["StoppingCondition"]["MaxRuntimeInSeconds"] == 28 * 86400
    assert "train: SageMaker ends the job, with all its attempts, after 28 days" in prepared.notes


def test_secrets_are_named_and_never_shown() -> None:
    request = job(secrets={"TOKEN": "swordfish"})
    prepared = jobs.prepare(request, where(), RUNTIME)
    assert prepared.native["Environment"]["CLOUDOPS_SECRET"] == "cloudops/jobs/small-train-0123456789"
    shown = json.dumps(jobs.shown(request, prepared))
    assert "swordfish" not in shown
    assert "TOKEN" in shown


@pytest.mark.parametrize(
    ("request_", "kind", "place"),
    [
        (job(retries=1, resources={"num_nodes": 2}), UnsupportedFeature, "train.retries"),
        (job(inputs={f"i{n}": f"s3://b/{n}" for n in range(19)}), InvalidRequest, "train.inputs"),
        (job(options=SageMakerJobOptions(max_wait="1h")), ConfigError, "overrides.sagemaker.train.max_wait"),
        (
            job(options=SageMakerJobOptions(max_wait="1h"), resources={"use_spot": True}, timeout="2h"),
            ConfigError,
            "overrides.sagemaker.train.max_wait",
        ),
        (
            job(options=SageMakerJobOptions(keep_alive="1h"), resources={"use_spot": True}),
            ConfigError,
            "overrides.sagemaker.train.keep_alive",
        ),
        (job(framework="sklern@1.7"), InvalidRequest, "train.framework"),
        (job(timeout="29d"), InvalidRequest, "train.timeout"),
    ],
)
def test_what_has_no_place_in_sagemaker_is_refused(request_, kind: type[CloudopsError], place: str) -> None:
    with pytest.raises(kind) as caught:
        jobs.prepare(request_, where(), RUNTIME)
    assert str(caught.value).startswith(f"{place}: ")
    assert caught.value.exit_code == 2  # nothing was sent
