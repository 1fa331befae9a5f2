"""A job's request becomes a CustomJob and what the container reads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cloudops_vertex import jobs, sdk
from cloudops_vertex.options import VertexJobOptions

from cloudops.errors import ConfigError, InvalidRequest, UnsupportedFeature
from cloudops.provider import JobRequest

from .requests import DIGEST, job, where

RUNTIME, STUB = "cloudops_runtime-0.pyz", "import this"


def prepared(request: JobRequest, **settings: Any) -> jobs.Prepared:
    return jobs.prepare(request, where(**settings), RUNTIME, STUB)


def native(request: JobRequest, **settings: Any) -> dict[str, Any]:
    """The CustomJob, which Google's own message takes as it is."""
    found = prepared(request, **settings).native
    kind = sdk.imported("google.cloud.aiplatform_v1.types.custom_job").CustomJob
    back = sdk.imported("google.protobuf.json_format").MessageToDict(kind.pb(kind.from_json(json.dumps(found))))
    assert back["displayName"] == found["displayName"]
    assert back["labels"] == found["labels"]
    assert back["jobSpec"]["workerPoolSpecs"] == found["jobSpec"]["workerPoolSpecs"]
    return found


def test_a_job_is_one_custom_job() -> None:
    found = native(job(envs={"A": "b"}, timeout="10m"))
    assert found["displayName"] == "small-train-0123456789"
    spec = found["jobSpec"]
    assert spec["baseOutputDirectory"] == {"outputUriPrefix": "gs://models/cloudops/small/jobs/small-train-0123456789"}
    assert spec["scheduling"] == {"timeout": f"{600 + 30 + 1800}s", "restartJobOnWorkerRestart": False}
    (pool,) = spec["workerPoolSpecs"]
    assert pool["machineSpec"] == {"machineType": "n1-standard-4"}
    assert pool["diskSpec"] == {"bootDiskType": "pd-ssd", "bootDiskSizeGb": 100}
    container = pool["containerSpec"]
    assert container["command"] == ["python3", "-c"]
    assert container["args"] == [STUB, "models", "cloudops/small/jobs/small-train-0123456789/job.zip"]
    assert container["env"] == [{"name": "A", "value": "b"}]


def test_labels_say_what_it_is() -> None:
    labels = native(job(name="small-train-0123456789-2"))["labels"]
    assert labels["cloudops_name"] == "small-train-0123456789-2"
    assert labels["cloudops_base"] == "small-train-0123456789"
    assert (labels["cloudops_project"], labels["cloudops_step"]) == ("small", "train")
    assert labels["cloudops_code"] == DIGEST[:63]
    assert labels["cloudops_framework"] == "sklearn_1_7"
    assert all(len(value) <= 63 and value == value.lower() for value in labels.values())


def test_settings_of_the_target_are_honoured() -> None:
    key = "projects/p/locations/us-central1/keyRings/r/cryptoKeys/k"
    found = native(
        job(),
        prefix="teams/a",
        service_account="jobs@my-project.iam.gserviceaccount.com",
        network="projects/123/global/networks/vpc",
        kms_key=key,
        labels={"cost": "42"},
        machine_type="e2-standard-8",
    )
    spec = found["jobSpec"]
    assert spec["serviceAccount"] == "jobs@my-project.iam.gserviceaccount.com"
    assert spec["network"] == "projects/123/global/networks/vpc"
    assert found["encryptionSpec"] == {"kmsKeyName": key}
    assert found["labels"]["cost"] == "42"
    assert spec["workerPoolSpecs"][0]["machineSpec"] == {"machineType": "e2-standard-8"}
    assert spec["baseOutputDirectory"]["outputUriPrefix"].startswith("gs://models/teams/a/small/jobs/")
    assert prepared(job(), kms_key=key).boot["kms_key"] == key


def test_options_are_honoured() -> None:
    options = VertexJobOptions(
        machine_type="n1-standard-8",
        strategy="flex-start",
        max_wait="2h",
        restart_job_on_worker_restart=True,
        disk_type="pd-balanced",
        enable_web_access=True,
        input_mode="copy",
    )
    request = job(options=options, resources={"disk_size": 200})
    spec = native(request)["jobSpec"]
    assert spec["workerPoolSpecs"][0]["machineSpec"]["machineType"] == "n1-standard-8"
    assert spec["workerPoolSpecs"][0]["diskSpec"] == {"bootDiskType": "pd-balanced", "bootDiskSizeGb": 200}
    assert spec["scheduling"] == {
        "strategy": "FLEX_START",
        "maxWaitDuration": "7200s",
        "restartJobOnWorkerRestart": True,
    }
    assert spec["enableWebAccess"] is True
    assert prepared(request).boot["mount"] is False


def test_several_nodes_are_two_pools_that_start_again_together() -> None:
    spec = native(job(resources={"num_nodes": 3}))["jobSpec"]
    assert [pool["replicaCount"] for pool in spec["workerPoolSpecs"]] == ["1", "2"]
    assert spec["workerPoolSpecs"][0]["containerSpec"] == spec["workerPoolSpecs"][1]["containerSpec"]
    assert spec["scheduling"]["restartJobOnWorkerRestart"] is True


def test_spot_machines() -> None:
    found = prepared(job(resources={"use_spot": True}))
    assert found.native["jobSpec"]["scheduling"] == {"strategy": "SPOT", "restartJobOnWorkerRestart": True}
    assert "spot machines cost less" in found.cost


def test_a_persistent_resource() -> None:
    found = prepared(job(), persistent_resource="pool-1")
    assert found.native["jobSpec"]["persistentResourceId"] == "pool-1"
    assert "pool-1 costs what it costs anyway" in found.cost
    other = prepared(job(options=VertexJobOptions(persistent_resource="pool-2")), persistent_resource="pool-1")
    assert other.native["jobSpec"]["persistentResourceId"] == "pool-2"


def test_accelerators() -> None:
    found = native(job(resources={"accelerators": "T4:2"}))
    assert found["jobSpec"]["workerPoolSpecs"][0]["machineSpec"] == {
        "machineType": "n1-standard-4",
        "acceleratorType": "NVIDIA_TESLA_T4",
        "acceleratorCount": 2,
    }
    assert "gpu" in found["jobSpec"]["workerPoolSpecs"][0]["containerSpec"]["imageUri"]


def test_inputs_are_found_by_the_container(tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text("x\n")
    sources = {
        "file": str(tmp_path / "table.csv"),
        "folder": str(tmp_path),
        "pattern": str(tmp_path / "*.csv"),
        "object": "gs://b/data/table.csv",
        "prefix": "gs://b/data/",
        "all": "gs://b/",
        "some": "gs://b/data/2026/*.csv",
        "web": "https://host/table.csv?x=1",
        "other": "s3://bucket/key/",
    }
    found = prepared(job(inputs=sources))
    where = found.boot["inputs"]
    assert where["object"] == {"bucket": "b", "key": "data/table.csv", "kind": "object"}
    assert where["prefix"] == {"bucket": "b", "key": "data", "kind": "prefix"}
    assert where["all"] == {"bucket": "b", "key": "", "kind": "prefix"}
    assert where["some"] == {"bucket": "b", "key": "data/2026", "kind": "prefix"}
    for name in ("file", "folder", "pattern", "web", "other"):
        assert where[name]["key"].startswith("cloudops/small/data/")
    assert where["file"]["key"].endswith("/table.csv")
    assert (where["file"]["kind"], where["web"]["kind"], where["other"]["kind"]) == ("object", "object", "prefix")
    assert {note.partition(":")[0] for note in found.notes if "fetched" in note} == {
        "train.inputs.web",
        "train.inputs.other",
    }


def test_variables_that_the_service_would_change_travel_beside_the_description() -> None:
    found = prepared(job(envs={"A": "plain", "B": "$(HOME)", "C": "", "D": "a$b"}))
    assert jobs.described_environment(found.native) == {"A": "plain"}
    assert found.boot["env"] == {"B": "$(HOME)", "C": "", "D": "a$b"}
    many = prepared(job(envs={f"V{number}": "x" for number in range(200)}))
    assert jobs.described_environment(many.native) == {}
    assert len(many.boot["env"]) == 200


def test_secrets_are_named_and_never_shown() -> None:
    request = job(secrets={"TOKEN": "swordfish"})
    found = prepared(request)
    assert (
        found.boot["secret"]
        == "https://secretmanager.googleapis.com/v1/projects/my-project/secrets/cloudops-jobs-small-train-0123456789"
    )
    text = json.dumps(jobs.shown(request, found))
    assert "swordfish" not in text
    assert '"TOKEN": "***"' in text
    assert STUB not in text


@pytest.mark.parametrize(
    ("request_", "settings", "kind", "text"),
    [
        (job(retries=1, resources={"num_nodes": 2}), {}, UnsupportedFeature, "train.retries: attempts are repeated"),
        (
            job(envs={"AIP_MODEL_DIR": "x"}),
            {},
            InvalidRequest,
            "train.envs: the variable AIP_MODEL_DIR is set by Vertex",
        ),
        (
            job(resources={"use_spot": True}, options=VertexJobOptions(strategy="flex-start")),
            {},
            ConfigError,
            "overrides.vertex.train.strategy: expected no strategy: flex-start with resources.use_spot",
        ),
        (
            job(resources={"use_spot": True}),
            {"persistent_resource": "pool"},
            ConfigError,
            "overrides.vertex.train.persistent_resource: a persistent resource has its machines already",
        ),
    ],
)
def test_what_cannot_be_is_refused(
    request_: JobRequest, settings: dict[str, Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind) as caught:
        prepared(request_, **settings)
    assert str(caught.value).startswith(text)


def test_notes_say_what_is_different() -> None:
    notes = " ".join(prepared(job(resources={"disk_size": 50}, image="my/image")).notes)
    assert "ends the job after 7 days" in notes
    assert "disk_size: the least is 100 GB" in notes
    assert "it needs python3" in notes


def test_places_are_read_off_a_described_job() -> None:
    found = {**prepared(job()).native, "name": "n"}
    assert jobs.folder(found).uri == "gs://models/cloudops/small/jobs/small-train-0123456789"
    assert jobs.checkpoints(found).uri == "gs://models/cloudops/small/checkpoints/small-train-0123456789"
    assert jobs.described_environment(prepared(job(envs={"A": "b"})).native) == {"A": "b"}
