"""Custom jobs really run: as processes with the environment that the service gives them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cloudops.offline.faults import FaultKind, Rule

from .rig import IMAGE, PARENT, PROJECT, Cloud

pytestmark = pytest.mark.timeout(120)


def pool(*command: str, replicas: int = 1, **more: Any) -> dict[str, Any]:
    container = {"imageUri": IMAGE, "command": list(command), **more.pop("container", {})}
    machine = {"machineType": "n1-standard-4"}
    return {"machineSpec": machine, "replicaCount": str(replicas), "containerSpec": container, **more}


def submit(cloud: Cloud, *pools: dict[str, Any], **spec: Any) -> dict[str, Any]:
    job = {"displayName": "job", "jobSpec": {"workerPoolSpecs": list(pools), **spec}}
    found: dict[str, Any] = cloud.rest("POST", f"{PARENT}/customJobs", job)
    return found


def python(code: str) -> tuple[str, ...]:
    return ("python", "-c", code)


def log(cloud: Cloud, job: Any, task: str | None = None) -> list[str]:
    more = {"task_name": task} if task else {}
    found = cloud.log("ml_job", job_id=job["name"].rpartition("/")[2], **more)
    return [line for line in found if not line.startswith("[offline]")]


def test_a_job_runs_and_its_output_is_in_the_log(cloud: Cloud) -> None:
    job = submit(cloud, pool(*python("print('hello'); import sys; print(sys.version_info[0])")))
    assert job["state"] == "JOB_STATE_PENDING"
    done = cloud.job(job["name"])
    assert done["state"] == "JOB_STATE_SUCCEEDED"
    assert done["createTime"] <= done["startTime"] <= done["endTime"]
    assert "error" not in done
    assert log(cloud, job) == ["hello", "3"]


def test_a_job_that_fails_says_which_replica_and_how(cloud: Cloud) -> None:
    done = cloud.job(submit(cloud, pool(*python("raise SystemExit(3)")))["name"])
    assert done["state"] == "JOB_STATE_FAILED"
    assert done["error"]["code"] == 3
    assert "The replica workerpool0-0 exited with a non-zero status of 3." in done["error"]["message"]


def test_buckets_are_mounted_and_written_to(cloud: Cloud) -> None:
    cloud.site.buckets.create("data", project="example-project")
    cloud.site.buckets.put("data", "in/a.txt", b"text")
    code = "import os; d='/gcs/data'; t=open(d+'/in/a.txt').read(); os.makedirs(d+'/out/model', exist_ok=True); "
    code += "open(os.environ['AIP_MODEL_DIR'].replace('gs://','/gcs/')+'m','w').write(t*2)"
    if not cloud.site.literal:
        pytest.skip("this machine has no user namespaces")
    output = {"outputUriPrefix": "gs://data/out"}
    done = cloud.job(submit(cloud, pool(*python(code)), baseOutputDirectory=output)["name"])
    assert done["state"] == "JOB_STATE_SUCCEEDED"
    assert cloud.site.buckets.read("data", "out/model/m") == b"texttext"


def test_without_namespaces_the_mount_is_rewritten(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path / "cloud", literal=False)
    cloud.site.buckets.create("data", project="example-project")
    cloud.site.buckets.put("data", "in/a.txt", b"text")
    job = submit(cloud, pool("cat", "/gcs/data/in/a.txt"))
    assert cloud.job(job["name"])["state"] == "JOB_STATE_SUCCEEDED"
    assert log(cloud, job) == ["text"]
    cloud.close()


def test_replicas_know_of_each_other(cloud: Cloud) -> None:
    code = """
import json, os, socket
spec = json.loads(os.environ["CLUSTER_SPEC"])
host = spec["cluster"]["workerpool0"][0].split(":")[0]
print(spec["task"]["type"], spec["task"]["index"], spec["environment"], sorted(spec["cluster"]),
      len(spec["cluster"]["workerpool1"]), socket.gethostbyname(host).startswith("127."), "TF_CONFIG" in os.environ,
      os.environ["CLOUD_ML_JOB_ID"] != "", os.environ["CLOUD_ML_REGION"])
"""
    job = submit(cloud, pool(*python(code)), pool(*python(code), replicas=2))
    assert cloud.job(job["name"])["state"] == "JOB_STATE_SUCCEEDED"
    rest = "cloud ['workerpool0', 'workerpool1'] 2 True True True us-central1"
    assert log(cloud, job, "workerpool0-0") == [f"workerpool0 0 {rest}"]
    assert log(cloud, job, "workerpool1-1") == [f"workerpool1 1 {rest}"]


def test_references_in_commands_are_expanded(cloud: Cloud) -> None:
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2"}]
    job = submit(cloud, pool("echo", container={"args": ["$(B)", "$$(B)", "$(NONE)"], "env": env}))
    cloud.job(job["name"])
    assert log(cloud, job) == ["12 $(B) $(NONE)"]


def test_a_job_is_cancelled_and_may_save_its_work(cloud: Cloud) -> None:
    code = "import signal,sys,time; signal.signal(15, lambda *_: (print('saving', flush=True), sys.exit(0))); "
    job = submit(cloud, pool(*python(code + "print('up', flush=True); time.sleep(60)")))
    cloud.until(lambda: log(cloud, job), lambda found: "up" in found)
    assert cloud.rest("POST", f"{job['name']}:cancel", {}) == {}
    done = cloud.job(job["name"])
    assert (done["state"], done["error"]["code"]) == ("JOB_STATE_CANCELLED", 1)
    assert log(cloud, job) == ["up", "saving"]
    assert cloud.rest("POST", f"{job['name']}:cancel", {}) == {}


def test_a_job_that_runs_is_not_deleted_and_one_that_has_ended_is(cloud: Cloud) -> None:
    job = submit(cloud, pool("sleep", "60"))
    refused = cloud.try_rest("DELETE", job["name"])
    assert (refused.status, refused.json["error"]["status"]) == (400, "FAILED_PRECONDITION")
    cloud.rest("POST", f"{job['name']}:cancel", {})
    cloud.job(job["name"])
    assert cloud.rest("DELETE", job["name"])["done"]
    gone = cloud.try_rest("GET", job["name"])
    assert (gone.status, gone.json["error"]["message"]) == (404, "The CustomJob does not exist.")


def test_a_timeout_ends_a_job(cloud: Cloud) -> None:
    job = submit(cloud, pool("sleep", "600"), scheduling={"timeout": "60s"})
    cloud.until(lambda: cloud.rest("GET", job["name"])["state"], lambda state: state == "JOB_STATE_RUNNING")
    cloud.clock.advance(61)
    done = cloud.job(job["name"])
    assert (done["state"], done["error"]["code"]) == ("JOB_STATE_CANCELLED", 4)


def test_a_spot_job_starts_again_when_its_machine_is_taken_away(cloud: Cloud) -> None:
    cloud.site.buckets.create("data", project="example-project")
    code = "import os,time; p='/gcs/data/c'; n=os.path.exists(p); open(p,'w').write('1'); print(n, flush=True); "
    job = submit(cloud, pool(*python(code + "n or time.sleep(60)")), scheduling={"strategy": "SPOT"})
    cloud.until(lambda: log(cloud, job), bool)
    cloud.faults.add(Rule(FaultKind.SPOT_INTERRUPTION, "aiplatform:custom-job"))
    assert cloud.job(job["name"])["state"] == "JOB_STATE_SUCCEEDED"
    assert log(cloud, job) == ["False", "True"]


def test_no_capacity_fails_a_job(cloud: Cloud) -> None:
    cloud.faults.add(Rule(FaultKind.NO_CAPACITY, "aiplatform:custom-job", seconds=1))
    done = cloud.job(submit(cloud, pool("true"))["name"])
    assert (done["state"], done["error"]["code"]) == ("JOB_STATE_FAILED", 8)
    assert "Resources are insufficient in region: us-central1" in done["error"]["message"]


def test_an_image_that_nothing_stands_for_fails_the_job_with_what_to_do(cloud: Cloud) -> None:
    done = cloud.job(submit(cloud, pool("true", container={"imageUri": "alpine:latest"}))["name"])
    assert done["state"] == "JOB_STATE_FAILED"
    assert "--image 'alpine:latest=/path/to/python'" in done["error"]["message"]


def refusal(cloud: Cloud, *pools: dict[str, Any], **spec: Any) -> str:
    body = {"displayName": "job", "jobSpec": {"workerPoolSpecs": list(pools), **spec}}
    answer = cloud.try_rest("POST", f"{PARENT}/customJobs", body)
    assert answer.status >= 400
    return str(answer.json["error"]["message"])


def test_what_cannot_be_is_refused(cloud: Cloud) -> None:
    assert "exactly one replica" in refusal(cloud, pool("true", replicas=2))
    assert "Machine type 'n1-huge-4' is not supported" in refusal(
        cloud, pool("true", machineSpec={"machineType": "n1-huge-4"})
    )
    gpu = {"machineType": "n1-standard-4", "acceleratorType": "NVIDIA_TESLA_T4", "acceleratorCount": 1}
    assert "custom_model_training_nvidia_tesla_t4_gpus" in refusal(cloud, pool("true", machineSpec=gpu))
    assert "boot_disk_size_gb" in refusal(cloud, pool("true", diskSpec={"bootDiskSizeGb": 5}))
    assert "Invalid Google Cloud Storage URI" in refusal(
        cloud, pool("true"), baseOutputDirectory={"outputUriPrefix": "/tmp/x"}
    )
    assert "job_spec.experiment" in refusal(cloud, pool("true"), experiment="a")
    body = {"displayName": "job", "labels": {"A b": "c"}, "jobSpec": {"workerPoolSpecs": [pool("true")]}}
    assert "Invalid label 'A b'" in cloud.try_rest("POST", f"{PARENT}/customJobs", body).json["error"]["message"]
    assert not cloud.rest("GET", f"{PARENT}/customJobs")


def test_lists_are_filtered_ordered_and_paged(cloud: Cloud) -> None:
    for number, label in enumerate(("a", "b", "a")):
        body = {
            "displayName": f"job-{number}",
            "labels": {"team": label},
            "jobSpec": {"workerPoolSpecs": [pool("true")]},
        }
        cloud.rest("POST", f"{PARENT}/customJobs", body)

    def names(query: str) -> list[str]:
        found = cloud.rest("GET", f"{PARENT}/customJobs?{query}")
        return [one["displayName"] for one in found.get("customJobs", [])]

    assert names("") == ["job-2", "job-1", "job-0"]
    assert names("filter=labels.team%3D%22a%22") == ["job-2", "job-0"]
    assert names("filter=display_name%3D%22job-1%22%20OR%20displayName:%222%22") == ["job-2", "job-1"]
    assert names("filter=NOT%20labels.team:*") == []
    page = cloud.rest("GET", f"{PARENT}/customJobs?pageSize=2")
    assert [one["displayName"] for one in page["customJobs"]] == ["job-2", "job-1"]
    rest = cloud.rest("GET", f"{PARENT}/customJobs?pageSize=2&pageToken={page['nextPageToken']}")
    assert ([one["displayName"] for one in rest["customJobs"]], "nextPageToken" in rest) == (["job-0"], False)
    wrong = cloud.try_rest("GET", f"{PARENT}/customJobs?filter=colour%3D%22a%22")
    assert (wrong.status, "unknown field 'colour'" in wrong.json["error"]["message"]) == (400, True)
    for one in cloud.rest("GET", f"{PARENT}/customJobs")["customJobs"]:
        cloud.job(one["name"])


def test_both_versions_and_both_wires_tell_the_same(cloud: Cloud) -> None:
    code, text, job = cloud.grpc(
        "google.cloud.aiplatform.v1.JobService.CreateCustomJob",
        {"parent": PARENT, "customJob": {"displayName": "g", "jobSpec": {"workerPoolSpecs": [pool("true")]}}},
    )
    assert (code, text) == (0, "")
    cloud.job(job["name"])
    request = {"name": job["name"]}
    one = cloud.grpc("google.cloud.aiplatform.v1.JobService.GetCustomJob", request)[2]
    assert one == cloud.rest("GET", job["name"], version="v1beta1") == cloud.rest("GET", job["name"])
    status, message, _ = cloud.grpc(
        "google.cloud.aiplatform.v1.JobService.GetCustomJob", {"name": f"{PARENT}/customJobs/none"}
    )
    assert (status, "Invalid CustomJob resource name." in message) == (3, True)
    cloud.principal = None
    assert cloud.grpc("google.cloud.aiplatform.v1.JobService.GetCustomJob", request)[0] == 16
    assert cloud.try_rest("GET", job["name"]).status == 401
    assert json.dumps(cloud.app.calls()[-1]["status"]) == "401"


def test_what_a_job_uses_is_told(cloud: Cloud) -> None:
    job = submit(cloud, pool(*python("import time; e=time.time()+3\nwhile time.time()<e: pass")))
    cloud.job(job["name"])
    query = "filter=metric.type%3D%22ml.googleapis.com/training/cpu/utilization%22"
    query += "&interval.startTime=2020-01-01T00:00:00Z&interval.endTime=2100-01-01T00:00:00Z"
    found = cloud.rest("GET", f"projects/{PROJECT}/timeSeries?{query}", version="v3", host="monitoring.googleapis.com")
    assert [one["resource"]["labels"]["job_id"] for one in found["timeSeries"]] == [job["name"].rpartition("/")[2]]
    assert max(point["value"]["doubleValue"] for point in found["timeSeries"][0]["points"]) > 0.02
