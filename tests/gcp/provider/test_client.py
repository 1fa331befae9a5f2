"""Where a client is, and what it repeats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cloudops_vertex.check import check
from cloudops_vertex.client import Client
from cloudops_vertex.errors import Answered, Refused
from cloudops_vertex.options import VertexTarget

from cloudops.errors import ConfigError

from .google import BUCKET, FakeClient, Google
from .requests import job

ROOT = Path("/nowhere")


def failing(*codes: str) -> Any:
    left = list(codes)

    def call() -> str:
        if left:
            raise Refused(Answered(left.pop(0), "so it is"))
        return "done"

    return call


def test_place_and_default_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_REGION", "europe-west4")
    client = Client(VertexTarget(project="my-project"), None, ROOT)
    assert (client.scope, client.bucket) == ("my-project/europe-west4", "my-project-vertex-staging-europe-west4")
    monkeypatch.delenv("GOOGLE_CLOUD_REGION")
    monkeypatch.delenv("CLOUD_ML_REGION", raising=False)
    assert Client(VertexTarget(project="my-project"), None, ROOT).location == "us-central1"
    assert Client(None, "other/us-west1", ROOT).parent == "projects/other/locations/us-west1"
    with pytest.raises(ConfigError, match="no bucket can be named after the project"):
        _ = Client(VertexTarget(project="example.com:my-project"), None, ROOT).bucket
    with pytest.raises(ConfigError, match="is no place in Vertex AI"):
        _ = Client(None, "one", ROOT).project


def test_calls_that_may_pass_are_repeated() -> None:
    client = FakeClient(Google())
    assert client.repeated(failing("UNAVAILABLE", "RESOURCE_EXHAUSTED")) == "done"
    assert 0 < client.slept < 2
    with pytest.raises(Refused):
        client.repeated(failing("UNAVAILABLE", "UNAVAILABLE", "UNAVAILABLE"))
    before = client.slept
    with pytest.raises(Refused):
        client.repeated(failing("NOT_FOUND"))
    assert client.slept == before


def test_a_check_looks_at_everything_in_turn() -> None:
    client = FakeClient(Google())
    client._credentials = (object(), None)
    found = check(client, [job(), job(step="evaluate", resources={"cpus": "900+"})])
    assert [(each.name, each.ok) for each in found] == [
        ("credentials", True),
        ("project", True),
        ("jobs", True),
        ("bucket", True),
        ("train", True),
        ("evaluate", False),
    ]
    assert found[3].detail == f"{BUCKET} will be created by the first run"
    assert "USD per hour" in found[4].detail
    client.fake.fail.append(Refused(Answered("PERMISSION_DENIED", "no")))
    found = check(client, [])
    assert [(each.name, each.ok) for each in found] == [("credentials", True), ("project", True), ("jobs", False)]


def test_a_bucket_elsewhere_is_told() -> None:
    google = Google(buckets={"mine": {}})
    client = FakeClient(google, bucket="mine", location="europe-west4")
    client._credentials = (object(), None)
    (*_, bucket) = check(client, [])
    assert (bucket.ok, bucket.name) == (False, "bucket")
    assert "is in us-central1" in bucket.detail
