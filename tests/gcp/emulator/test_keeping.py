"""What is kept with ``--data`` is there again; what ran has failed or starts anew."""

from __future__ import annotations

from pathlib import Path

import pytest
from cloudops_vertex.emulator import VertexEmulator
from cloudops_vertex.emulator.keeping import keep, restore

from cloudops.offline.clock import Clock
from cloudops.offline.emulator import Surroundings
from cloudops.offline.faults import FaultKind, Faults

from .rig import PARENT, Cloud
from .test_custom_jobs import pool
from .test_endpoints import deploy, endpoint, upload

pytestmark = pytest.mark.timeout(120)


def test_state_outlives_the_cloud(tmp_path: Path) -> None:
    folder, file = tmp_path / "cloud", tmp_path / "kept"
    cloud = Cloud(folder)
    cloud.site.buckets.create("mine", project="example-project")
    cloud.site.buckets.put("mine", "a", b"1")
    body = {"displayName": "job", "jobSpec": {"workerPoolSpecs": [pool("echo", "hello")]}}
    ended = cloud.job(cloud.rest("POST", f"{PARENT}/customJobs", body)["name"])
    body["jobSpec"] = {"workerPoolSpecs": [pool("sleep", "60")]}
    running = cloud.rest("POST", f"{PARENT}/customJobs", body)
    where = endpoint(cloud)
    deploy(cloud, where, upload(cloud))
    cloud.site.end()
    keep(cloud.site, file)
    cloud.site.buckets.close()

    again = Cloud(folder)
    restore(again.site, file)
    assert again.rest("GET", ended["name"]) == ended
    assert "hello" in again.log("ml_job", job_id=ended["name"].rpartition("/")[2])
    lost = again.rest("GET", running["name"])
    assert lost["state"] == "JOB_STATE_FAILED"
    assert again.site.buckets.read("mine", "a") == b"1"
    asked = {"instances": [1]}
    answer = again.until(
        lambda: again.try_rest("POST", f"{where}:predict", asked), lambda found: bool(found.status == 200)
    )
    assert answer.json["predictions"] == [["one", 1]]
    again.close()


def test_nothing_is_kept_where_nothing_was(tmp_path: Path, cloud: Cloud) -> None:
    restore(cloud.site, tmp_path / "none")
    assert cloud.rest("GET", f"{PARENT}/customJobs") == {}


def test_the_emulator_names_what_faults_can_happen_to(tmp_path: Path) -> None:
    assert "aiplatform:custom-job" in (VertexEmulator.subjects(FaultKind.NO_CAPACITY, "aiplatform") or ())
    assert VertexEmulator.subjects(FaultKind.NO_CAPACITY, "sagemaker") == ()
    calls = VertexEmulator.subjects(FaultKind.THROTTLING, "*") or ()
    assert {"aiplatform:CreateCustomJob", "storage:objects.insert", "logging:ListLogEntries"} <= set(calls)


def test_the_emulator_tells_what_exists_and_forgets_it(tmp_path: Path) -> None:
    emulator = VertexEmulator(Surroundings(tmp_path / "cloud", Clock(), Faults(), {}))
    emulator._site.buckets.create("mine", project="p-project")
    assert [(one.kind, one.name) for one in emulator.resources()] == [("bucket", "mine")]
    emulator.reset()
    assert emulator.resources() == []
    assert emulator.calls() == []
    emulator.close()
