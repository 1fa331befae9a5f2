"""Cores and memory of jobs and endpoints, in common units."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import cloudops
from cloudops.offline import OfflineCloud
from cloudops.session import Session
from cloudops.testing.projects import deployment, write_project

BUSY = """
import time
held = bytearray(200_000_000)
held[::4096] = b"x" * len(held[::4096])
end = time.monotonic() + 3.5
while time.monotonic() < end:
    pass
"""


@pytest.fixture
def session(tmp_path: Path, cloudops_offline: OfflineCloud) -> Session:
    write_project(tmp_path / "project")
    (tmp_path / "project" / "code" / "busy.py").write_text(BUSY)
    return cloudops.connect(provider="sagemaker", root=tmp_path / "project", project="small")


def test_a_job_of_two_ranks(session: Session) -> None:
    spec = cloudops.TrainSpec(command="python busy.py", code="code", resources={"num_nodes": 2})
    job = session.train(spec)
    job.wait(60)
    points = {(point.name, point.labels["rank"]): point.value for point in job.usage()}
    assert set(points) == {("cpu", "0"), ("cpu", "1"), ("memory", "0"), ("memory", "1")}
    for rank in ("0", "1"):
        assert 0.1 < points["cpu", rank] < 2.1
        assert 100e6 < points["memory", rank] < 1e9
    assert job.metrics() == []


def test_an_endpoint(session: Session) -> None:
    endpoint = session.deploy(deployment("small"))
    endpoint.wait(60)
    deadline = time.monotonic() + 30
    while not (found := {p.name: p for p in endpoint.metrics() if p.name in ("cpu", "memory")}).get("memory"):
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert 5e6 < found["memory"].value < 1e9
    assert found["memory"].labels == {"version": next(iter(endpoint.status().traffic))}
    session.down()
