"""Persistent resources: jobs run on their machines, one after the other where there are not enough."""

from __future__ import annotations

from typing import Any

import pytest

from .rig import PARENT, Cloud
from .test_custom_jobs import pool

pytestmark = pytest.mark.timeout(120)
MACHINE = {"machineType": "n1-standard-4"}


def resource(cloud: Cloud, count: int = 1) -> str:
    body = {"displayName": "mine", "resourcePools": [{"machineSpec": MACHINE, "replicaCount": str(count)}]}
    found = cloud.response(cloud.rest("POST", f"{PARENT}/persistentResources?persistentResourceId=mine", body))
    assert found["state"] == "RUNNING"
    return str(found["name"])


def job(*command: str, **pools: Any) -> dict[str, Any]:
    return {
        "displayName": "job",
        "jobSpec": {"persistentResourceId": "mine", "workerPoolSpecs": [pool(*command, **pools)]},
    }


def used(cloud: Cloud, name: str) -> int:
    return int(cloud.rest("GET", name)["resourcePools"][0].get("usedReplicaCount", 0))


def test_jobs_take_turns_on_the_machines(cloud: Cloud) -> None:
    name = resource(cloud)
    first = cloud.rest("POST", f"{PARENT}/customJobs", job("sleep", "60"))
    cloud.until(lambda: cloud.rest("GET", first["name"])["state"], lambda state: state == "JOB_STATE_RUNNING")
    second = cloud.rest("POST", f"{PARENT}/customJobs", job("true"))
    assert used(cloud, name) == 1
    refused = cloud.try_rest("DELETE", name)
    assert (refused.status, "is in use by jobs" in refused.json["error"]["message"]) == (400, True)
    assert cloud.rest("GET", second["name"])["state"] == "JOB_STATE_PENDING"
    cloud.rest("POST", f"{first['name']}:cancel", {})
    assert cloud.job(second["name"])["state"] == "JOB_STATE_SUCCEEDED"
    assert used(cloud, name) == 0
    assert [one["name"] for one in cloud.rest("GET", f"{PARENT}/persistentResources")["persistentResources"]] == [name]
    cloud.job(first["name"])
    assert cloud.rest("DELETE", name)["done"]


def test_a_job_needs_machines_that_the_resource_has(cloud: Cloud) -> None:
    missing = cloud.try_rest("POST", f"{PARENT}/customJobs", job("true"))
    assert (missing.status, "does not exist" in missing.json["error"]["message"]) == (404, True)
    resource(cloud)
    other = cloud.try_rest("POST", f"{PARENT}/customJobs", job("true", machineSpec={"machineType": "n1-standard-8"}))
    assert (other.status, "not among those of the Persist" in other.json["error"]["message"]) == (400, True)


def test_there_can_be_more_machines_later(cloud: Cloud) -> None:
    name = resource(cloud)
    pools = [{"id": "pool-0", "machineSpec": MACHINE, "replicaCount": "3"}]
    changed = cloud.response(
        cloud.rest("PATCH", f"{name}?updateMask=resourcePools", {"displayName": "mine", "resourcePools": pools})
    )
    assert changed["resourcePools"][0]["replicaCount"] == "3"
    jobs = [cloud.rest("POST", f"{PARENT}/customJobs", job("sleep", "60")) for _ in range(2)]
    cloud.until(lambda: used(cloud, name), lambda count: count == 2)
    for one in jobs:
        cloud.rest("POST", f"{one['name']}:cancel", {})
        cloud.job(one["name"])
