"""Batch predictions run the model's container over objects, and leave shards and errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloudops.offline.faults import FaultKind, Rule

from .rig import PARENT, PROJECT, SERVING, Cloud
from .test_endpoints import upload

pytestmark = pytest.mark.timeout(120)

BATCHES = f"{PARENT}/batchPredictionJobs"
ENDED = {f"JOB_STATE_{name}" for name in ("SUCCEEDED", "FAILED", "CANCELLED", "PARTIALLY_SUCCEEDED", "EXPIRED")}


def rows(cloud: Cloud, text: str, name: str = "in/rows.jsonl") -> None:
    if cloud.site.buckets.bucket("data") is None:
        cloud.site.buckets.create("data", project=PROJECT)
    cloud.site.buckets.put("data", name, text.encode())


def body(model: str, **more: Any) -> dict[str, Any]:
    return {
        "displayName": "b",
        "model": model,
        "inputConfig": {"instancesFormat": "jsonl", "gcsSource": {"uris": ["gs://data/in/*.jsonl"]}},
        "outputConfig": {"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": "gs://data/out"}},
        "dedicatedResources": {"machineSpec": {"machineType": "n1-standard-2"}},
        **more,
    }


def ended(cloud: Cloud, name: str) -> Any:
    return cloud.until(lambda: cloud.rest("GET", name), lambda found: found.get("state") in ENDED)


def run(cloud: Cloud, model: str, **more: Any) -> Any:
    return ended(cloud, cloud.rest("POST", BATCHES, body(model, **more))["name"])


def results(cloud: Cloud, job: Any) -> list[Any]:
    folder = job["outputInfo"]["gcsOutputDirectory"].removeprefix("gs://data/")
    found = cloud.site.buckets.list("data", f"{folder}/prediction.results-")
    return [json.loads(line) for one in found for line in one.path.read_bytes().splitlines()]


def errors(cloud: Cloud, job: Any) -> str:
    folder = job["outputInfo"]["gcsOutputDirectory"].removeprefix("gs://data/")
    return cloud.site.buckets.read("data", f"{folder}/prediction.errors_stats-00000-of-00001").decode()


def test_every_line_is_predicted(cloud: Cloud) -> None:
    rows(cloud, "".join(f"[{n}, 1]\n" for n in range(100)) + "\n \n")
    rows(cloud, '{"x": "ü"}\n"text"', "in/more.jsonl")
    model = upload(cloud, "my model")
    created = cloud.rest(
        "POST",
        BATCHES,
        body(model, labels={"a": "b"}, manualBatchTuningParameters={"batchSize": 10}, modelParameters={"p": 1}),
    )
    assert (created["state"], created["modelVersionId"]) == ("JOB_STATE_PENDING", "1")
    assert f"{created['model']}@1" == model
    job = ended(cloud, created["name"])
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    found = results(cloud, job)
    wanted = [*([n, 1] for n in range(100)), {"x": "ü"}, "text"]
    assert sorted(map(str, (one["instance"] for one in found))) == sorted(map(str, wanted))
    assert all(one["prediction"] == ["my model", one["instance"]] for one in found)
    assert [one["instance"] for one in found] != wanted  # the service promises no order
    assert job["completionStats"] == {"successfulCount": "102"}
    assert job["outputInfo"]["gcsOutputDirectory"].startswith("gs://data/out/prediction-my_model-20")
    assert job["resourcesConsumed"]["replicaHours"] > 0
    assert errors(cloud, job) == ""
    assert "asked for 10" in cloud.log("ml_job", job_id=job["name"].rpartition("/")[2])
    assert cloud.rest("GET", f"{BATCHES}?filter=labels.a%3Db")["batchPredictionJobs"] == [job]
    assert cloud.rest("DELETE", job["name"])["done"]
    assert cloud.try_rest("GET", job["name"]).status == 404


@pytest.mark.parametrize(
    ("config", "shown", "sent"),
    [
        ({"keyField": "k"}, {"key": "7"}, {"a": 1, "b": [2]}),
        ({"excludedFields": ["a"]}, {"instance": {"k": "7", "a": 1, "b": [2]}}, {"k": "7", "b": [2]}),
        ({"includedFields": ["b"]}, {"instance": {"k": "7", "a": 1, "b": [2]}}, {"b": [2]}),
        ({"keyField": "k", "instanceType": "array", "includedFields": ["b", "a"]}, {"key": "7"}, [[2], 1]),
    ],
)
def test_instances_are_made_as_asked(cloud: Cloud, config: Any, shown: Any, sent: Any) -> None:
    rows(cloud, '{"k": "7", "a": 1, "b": [2]}')
    [found] = results(cloud, run(cloud, upload(cloud), instanceConfig=config))
    assert found == {**shown, "prediction": ["one", sent]}


def test_what_the_model_refuses_is_counted(cloud: Cloud) -> None:
    rows(cloud, '"bad"\n"good"\nno json\n')
    job = run(cloud, upload(cloud), manualBatchTuningParameters={"batchSize": 1})
    assert job["state"] == "JOB_STATE_PARTIALLY_SUCCEEDED"
    assert job["completionStats"] == {"successfulCount": "1", "failedCount": "2"}
    assert [one["prediction"] for one in results(cloud, job)] == [["one", "good"]]
    told = errors(cloud, job)
    assert 'Error: Exceeded retries: Non-OK result 400 ({"error": "bad instance"}) from server, retry=0' in told
    assert told.splitlines()[1].endswith(", 1)")
    assert len(job["partialFailures"]) == 2


def test_a_job_without_a_prediction_fails(cloud: Cloud) -> None:
    rows(cloud, '"bad"')
    job = run(cloud, upload(cloud))
    assert (job["state"], "bad instance" in job["error"]["message"]) == ("JOB_STATE_FAILED", True)


def test_a_model_that_does_not_start_fails_the_job(cloud: Cloud) -> None:
    rows(cloud, "1")
    job = run(cloud, upload(cloud, BROKEN="1"))
    assert job["state"] == "JOB_STATE_FAILED"
    assert "Model server never became ready" in job["error"]["message"]
    assert "the model is broken" in cloud.log("ml_job", job_id=job["name"].rpartition("/")[2])


def test_input_that_is_not_there_fails_the_job(cloud: Cloud) -> None:
    rows(cloud, "1", "elsewhere.jsonl")
    job = run(cloud, upload(cloud))
    assert (job["state"], job["error"]["message"]) == (
        "JOB_STATE_FAILED",
        "No files found matching: gs://data/in/*.jsonl",
    )


def test_a_job_is_cancelled(cloud: Cloud) -> None:
    rows(cloud, "1")
    container = {"imageUri": SERVING, "command": ["python", "-c", "import time; time.sleep(600)"]}
    found = cloud.rest("POST", f"{PARENT}/models:upload", {"model": {"displayName": "m", "containerSpec": container}})
    name = cloud.rest("POST", BATCHES, body(cloud.response(found)["model"]))["name"]
    cloud.until(lambda: cloud.rest("GET", name), lambda found: found["state"] == "JOB_STATE_RUNNING")
    refused = cloud.try_rest("DELETE", name)
    assert "cannot be deleted; cancel it first" in refused.json["error"]["message"]
    cloud.rest("POST", f"{name}:cancel", {})
    assert ended(cloud, name)["state"] == "JOB_STATE_CANCELLED"
    cloud.rest("POST", f"{name}:cancel", {})


@pytest.mark.parametrize(
    ("kind", "state"),
    [(FaultKind.NO_CAPACITY, "JOB_STATE_FAILED"), (FaultKind.PARTIAL_UPLOAD, "JOB_STATE_FAILED"), (None, 99)],
)
def test_faults_happen(cloud: Cloud, kind: FaultKind | None, state: Any) -> None:
    rows(cloud, "".join(f"{n}\n" for n in range(10)))
    lasts = 1.0 if kind is FaultKind.NO_CAPACITY else None
    cloud.faults.add(Rule(kind or FaultKind.UNKNOWN_STATE, on="aiplatform:batch-prediction-job", seconds=lasts))
    name = cloud.rest("POST", BATCHES, body(upload(cloud), manualBatchTuningParameters={"batchSize": 1}))["name"]
    job = cloud.until(lambda: cloud.rest("GET", name), lambda found: "endTime" in found)
    assert job["state"] == state
    if kind is FaultKind.PARTIAL_UPLOAD:
        assert 0 < len(results(cloud, job)) < 10


@pytest.mark.parametrize(
    ("more", "status", "text"),
    [
        ({"generateExplanation": True}, 501, "batch_prediction_job.generate_explanation"),
        ({"unmanagedContainerModel": {"artifactUri": "gs://x"}}, 501, "unmanaged_container_model"),
        (
            {"inputConfig": {"instancesFormat": "bigquery", "bigquerySource": {"inputUri": "bq://a.b.c"}}},
            501,
            "input_config.bigquery_source",
        ),
        ({"dedicatedResources": {"machineSpec": {"machineType": "n1-standard-2"}, "spot": True}}, 501, ".spot"),
        ({"dedicatedResources": {"machineSpec": {"machineType": "x9"}}}, 400, "'x9' is not supported"),
        ({"instanceConfig": {"instanceType": "list"}}, 400, "Invalid instance type"),
        ({"model": f"{PARENT}/models/none"}, 404, "does not exist"),
    ],
)
def test_what_cannot_be_is_refused(cloud: Cloud, more: Any, status: int, text: str) -> None:
    answer = cloud.try_rest("POST", BATCHES, {**body(upload(cloud)), **more}, version="v1beta1")
    assert (answer.status, text in answer.json["error"]["message"]) == (status, True), answer.data


def test_jobs_are_kept(tmp_path: Path) -> None:
    from cloudops_vertex.emulator.keeping import keep, restore

    first, second = Cloud(tmp_path / "a"), Cloud(tmp_path / "b")
    try:
        rows(first, "1")
        job = run(first, upload(first))
        keep(first.site, tmp_path / "kept")
        restore(second.site, tmp_path / "kept")
        assert second.rest("GET", job["name"]) == job
    finally:
        first.close()
        second.close()
