"""The training role against a small cloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cloudops_vertex.errors import Answered, Refused
from cloudops_vertex.trainer import VertexTrainer

from cloudops.errors import AuthError, Conflict, InvalidRequest, NotFound, UnsupportedFeature
from cloudops.refs import Phase, Ref

from .google import BUCKET, FakeClient, Google
from .requests import job

NAME = "small-train-0123456789"
FOLDER = f"gs://{BUCKET}/cloudops/small/jobs/{NAME}"


class Rig:
    def __init__(self, tmp_path: Path) -> None:
        self.google = Google()
        self.client = FakeClient(self.google)
        self.trainer = VertexTrainer(self.client)
        self.folder = tmp_path

    def submit(self, **given: Any) -> Ref:
        return self.trainer.submit(job(folder=self.folder, **given))

    def end(self, state: str = "SUCCEEDED", **more: Any) -> str:
        resource = list(self.google.jobs)[-1]
        self.google.jobs[resource] |= {"state": f"JOB_STATE_{state}", "startTime": "2026-11-25T09:30:00Z", **more}
        return resource


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_everything_that_a_job_reads_is_there_before_it(rig: Rig) -> None:
    (rig.folder / "data").mkdir()
    (rig.folder / "data" / "a.csv").write_text("1\n")
    ref = rig.submit(
        inputs={"x": str(rig.folder / "data"), "y": str(rig.folder / "data" / "a.csv")}, secrets={"K": "v"}
    )
    assert str(ref) == f"cloudops://vertex/my-project/us-central1/jobs/{NAME}"
    objects = rig.google.objects()
    assert {f"{FOLDER}/job.zip", f"{FOLDER}/lineage.json", f"{FOLDER}/claim.json", f"{FOLDER}/secret"} <= set(objects)
    assert sum("/data/" in uri for uri in objects) == 2
    assert json.loads(rig.google.secrets[f"cloudops-jobs-{NAME}"]) == {"K": "v"}
    uploads = [call for call in rig.google.calls if call == "storage.objects.insert"]
    rig.submit(inputs={"x": str(rig.folder / "data")})
    again = [call for call in rig.google.calls if call == "storage.objects.insert"]
    assert len(again) - len(uploads) <= 4  # the job's own small files, and the claim that is not to be had


def test_an_input_without_a_file_is_refused(rig: Rig) -> None:
    (rig.folder / "none").mkdir()
    with pytest.raises(InvalidRequest, match=r"train\.inputs\.x: .* has no file"):
        rig.submit(inputs={"x": str(rig.folder / "none")})
    assert rig.google.jobs == {}


def test_a_pattern_in_a_bucket_names_what_matches(rig: Rig) -> None:
    from cloudops_vertex.staging import matching

    from cloudops.provider import Input

    for name in ("d/a.csv", "d/b.csv", "d/c.txt", "d/e/f.csv", "x.csv"):
        rig.google.put(f"gs://in/{name}", b"")
    storage = rig.trainer._storage
    assert matching(storage, Input("gs://in/d/*.csv")) == ["a.csv", "b.csv"]
    assert matching(storage, Input("gs://in/**/*.csv")) == ["d/a.csv", "d/b.csv", "d/e/f.csv", "x.csv"]
    with pytest.raises(NotFound, match="matches no object"):
        matching(storage, Input("gs://in/d/*.parquet"))


def test_a_plan_creates_nothing(rig: Rig) -> None:
    plan = rig.trainer.plan(job(secrets={"K": "swordfish"}))
    assert plan.creates == [
        f"custom job {NAME} in my-project/us-central1",
        f"bucket {BUCKET}, which `cloudops down` does not delete",
        f"secret cloudops-jobs-{NAME}, deleted with the job",
    ]
    assert "0.218 USD per hour" in plan.cost
    assert "swordfish" not in json.dumps(plan.native)
    assert (rig.google.buckets, rig.google.jobs, rig.google.secrets) == ({}, {}, {})


def test_a_bucket_of_the_default_name_that_is_anothers_is_not_used(rig: Rig) -> None:
    rig.google.buckets[BUCKET] = {}
    rig.google.foreign.add(BUCKET)
    with pytest.raises(AuthError, match="is not this project's") as caught:
        rig.submit()
    assert caught.value.hint == "set bucket in the target to one that is"
    assert rig.google.buckets[BUCKET] == {}


def test_phases_and_times(rig: Rig) -> None:
    ref = rig.submit()
    assert rig.trainer.status(ref).phase is Phase.STARTING
    rig.end("RUNNING")
    status = rig.trainer.status(ref)
    assert (status.phase, status.attempt, status.exit_code) == (Phase.RUNNING, 1, None)
    rig.end("SUCCEEDED", endTime="2026-11-25T09:31:00.25Z")
    status = rig.trainer.status(ref)
    assert (status.phase, status.exit_code) == (Phase.SUCCEEDED, 0)
    assert status.started is not None
    assert status.ended == status.started + 60.25


def test_a_failure_is_told_by_the_container(rig: Rig) -> None:
    ref = rig.submit(retries=2)
    error = {"code": 3, "message": "The replica workerpool0-0 exited with a non-zero status of 1. To find out more"}
    rig.end("FAILED", error=error)
    assert rig.trainer.status(ref).exit_code == 1
    rig.google.put(
        f"{FOLDER}/failure.json", b'{"rank": 0, "code": 134, "reason": "the command ended with exit code 134"}'
    )
    rig.google.put(f"{FOLDER}/attempt.json", b'{"attempt": 3}')
    status = rig.trainer.status(ref)
    assert (status.exit_code, status.reason, status.attempt) == (134, "the command ended with exit code 134", 3)


def test_metrics_are_read_from_the_log(rig: Rig) -> None:
    ref = rig.submit()
    resource = rig.end("RUNNING")
    rig.google.said(resource, "hello", second=0)
    rig.google.said(resource, "[cloudops] metric name=auc value=0.5 step=1\n", second=1)
    rig.google.said(resource, "[cloudops] metric name=auc value=0.75 step=2 rank=1", "workerpool1-0", second=2)
    found = rig.trainer.metrics(ref)
    assert [(point.name, point.value, point.step, dict(point.labels)) for point in found] == [
        ("auc", 0.5, 1, {}),
        ("auc", 0.75, 2, {"rank": "1"}),
    ]


def test_what_machines_used_is_cores_and_bytes(rig: Rig) -> None:
    ref = rig.submit(resources={"instance_type": "n1-standard-8", "num_nodes": 2})
    assert rig.trainer.usage(ref) == []
    rig.end(endTime="2026-11-25T09:40:00Z")
    assert rig.trainer.usage(ref) == []
    rig.google.series["ml.googleapis.com/training/cpu/utilization"] = [0.25, 0.75]
    rig.google.series["ml.googleapis.com/training/memory/utilization"] = [0.1]
    found = {point.name: point.value for point in rig.trainer.usage(ref)}
    assert found == {"cpu": 4.0, "memory": pytest.approx(3 * (1 << 30))}


def test_a_model_has_its_files_lineage_and_metrics(rig: Rig) -> None:
    ref = rig.submit()
    with pytest.raises(NotFound, match="has no model: it is starting"):
        rig.trainer.model(ref)
    resource = rig.end(endTime="2026-11-25T10:00:00Z")
    with pytest.raises(NotFound, match="it wrote no file to it"):
        rig.trainer.model(ref)
    rig.google.put(f"{FOLDER}/model/m.pkl", b"m")
    rig.google.said(resource, "[cloudops] metric name=auc value=0.5")
    found = rig.trainer.model(ref)
    assert found.location == f"{FOLDER}/model/"
    assert found.lineage["project"] == "small"
    assert found.metrics == {"auc": 0.5}
    assert [each.ref for each in rig.trainer.models("small")] == [found.ref]
    assert list(rig.trainer.models("other")) == []


def test_outputs_are_folders_that_jobs_can_read(rig: Rig) -> None:
    ref = rig.submit(outputs=["table"])
    rig.end()
    assert rig.trainer.outputs(ref) == {}
    rig.google.put(f"{FOLDER}/outputs/table/a/b.csv", b"")
    assert rig.trainer.outputs(ref) == {"table": f"{FOLDER}/outputs/table/"}


def test_jobs_are_listed_newest_first_with_leftovers(rig: Rig) -> None:
    rig.submit()
    rig.submit(name="small-prepare-0123456789", step="train")
    rig.google.put(f"gs://{BUCKET}/cloudops/small/jobs/small-train-ffffffffff/lineage.json", b"{}")
    listed = list(rig.trainer.jobs("small"))
    assert [(item.ref.id, item.step, item.phase) for item in listed] == [
        ("small-prepare-0123456789", "prepare", Phase.STARTING),
        (NAME, "train", Phase.STARTING),
        ("small-train-ffffffffff", "train", Phase.FAILED),
    ]
    assert len(list(rig.trainer.jobs())) == 2
    assert list(rig.trainer.jobs("smal")) == []


def test_attempts_are_numbered_whichever_is_gone(rig: Rig) -> None:
    for name in (NAME, f"{NAME}-2", f"{NAME}-11"):
        rig.submit(name=name)
    del rig.google.jobs[next(iter(rig.google.jobs))]
    assert {number: ref.id for number, ref in rig.trainer.attempts(NAME).items()} == {2: f"{NAME}-2", 11: f"{NAME}-11"}
    assert rig.trainer.attempts("small-train-ffffffffff") == {}


def test_cancelling_twice_and_after_the_end(rig: Rig) -> None:
    ref = rig.submit()
    rig.trainer.cancel(ref)
    rig.trainer.cancel(ref)
    assert rig.trainer.status(ref).phase is Phase.CANCELLED
    assert rig.google.calls.count("cancel") == 1


def test_a_job_that_ended_meanwhile_is_cancelled_silently(rig: Rig) -> None:
    ref = rig.submit()

    def cancel(resource: str) -> None:
        raise Refused(Answered("FAILED_PRECONDITION", "The job has ended.", 400))

    rig.client.fake.cancel = cancel  # type: ignore[method-assign]
    rig.trainer.cancel(ref)


def test_deleting_leaves_nothing(rig: Rig) -> None:
    ref = rig.submit(secrets={"K": "v"})
    rig.google.put(f"gs://{BUCKET}/cloudops/small/checkpoints/{NAME}/step", b"1")
    rig.trainer.delete(ref)
    left = {uri for uri in rig.google.objects() if "/code/" not in uri}
    assert (rig.google.jobs, rig.google.secrets, left) == ({}, {}, set())
    with pytest.raises(NotFound, match="has no custom job"):
        rig.trainer.status(ref)
    rig.trainer.delete(ref)
    assert rig.trainer.find(NAME) is None


def test_what_a_killed_client_left_is_deleted(rig: Rig) -> None:
    ref = rig.submit(secrets={"K": "v"})
    rig.google.jobs.clear()
    rig.trainer.delete(ref)
    assert rig.google.secrets == {}
    assert not any(FOLDER in uri for uri in rig.google.objects())


def test_checkpoints_stay_while_another_try_has_them(rig: Rig) -> None:
    from dataclasses import replace

    place = f"gs://{BUCKET}/cloudops/small/checkpoints/{NAME}/step"
    first = rig.submit()
    second = rig.trainer.submit(replace(job(folder=rig.folder, name=f"{NAME}-2"), checkpoint=NAME))
    rig.google.put(place, b"1")
    rig.trainer.delete(first)
    assert place in rig.google.objects()
    rig.trainer.delete(second)
    assert place not in rig.google.objects()


def test_a_job_that_does_not_end_is_told(rig: Rig) -> None:
    ref = rig.submit()
    rig.client.fake.cancel = lambda resource: None  # type: ignore[method-assign]
    with pytest.raises(Conflict, match="does not end: it is JOB_STATE_PENDING"):
        rig.trainer.delete(ref)


def test_batches_and_observations_are_refused_with_a_reason(rig: Rig) -> None:
    from cloudops_vertex.provider import VertexProvider

    provider = VertexProvider(rig.client)
    for call in (
        lambda: provider.trainer.batch(None),  # type: ignore[arg-type]
        lambda: provider.monitor.metrics(rig.client.ref("endpoints", "x"), since=0, until=1),
    ):
        with pytest.raises(UnsupportedFeature) as caught:
            call()
        assert caught.value.hint
