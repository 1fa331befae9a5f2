"""The key that a router shares with its replicas."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .rig import SERVERS, Running, serving

KEY = "a-long-s3cret"
HEALTH = ("/", "/ping", "/livez", "/readyz", "/v2/health/live", "/v2/health/ready", "/v2/models/m/ready", "/alive")
GUARDED = (
    ("POST", "/invocations"),
    ("POST", "/score"),
    ("POST", "/predict"),
    ("POST", "/v2/models/m/infer"),
    ("GET", "/v2"),
    ("GET", "/v2/models/m"),
    ("GET", "/metrics"),
    ("GET", "/no/such/route"),
    ("DELETE", "/score"),
    ("POST", "/ping"),
)


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("key")
    given = {"CLOUDOPS_REQUEST_KEY": KEY, "CLOUDOPS_MODEL_NAME": "m", "CLOUDOPS_CAPTURE_DIR": folder / "capture"}
    vertex = {"AIP_HEALTH_ROUTE": "/alive", "AIP_PREDICT_ROUTE": "/predict"}
    with serving(folder, request.param, **given, **vertex) as running:
        yield running


@pytest.mark.parametrize(("method", "path"), GUARDED)
def test_without_the_key(server: Running, method: str, path: str) -> None:
    body = [[1]] if method == "POST" else None
    for headers in ({}, {"x_cloudops_key": ""}, {"x_cloudops_key": KEY[:-1]}, {"x_cloudops_key": "\xe9"}):
        answer = server.request(method, path, body, **headers)
        assert answer.status == 401
        assert answer.error.startswith("only the endpoint's router may ask here, with its key in x-cloudops-key")


def test_with_the_key(server: Running) -> None:
    tensors = {"inputs": [{"name": "x", "shape": [1, 1], "datatype": "INT8", "data": [1]}]}
    for method, path in GUARDED[:7]:
        body = tensors if path.endswith("infer") else [[1]] if method == "POST" else None
        assert server.request(method, path, body, x_cloudops_key=KEY).status == 200
    assert server.request("GET", "/no/such/route", x_cloudops_key=KEY).status == 404


@pytest.mark.parametrize("path", HEALTH)
def test_probes_need_none(server: Running, path: str) -> None:
    assert server.request("GET", path).status == 200
    assert server.request("HEAD", path).status == 200


def test_the_key_is_told_nowhere(server: Running) -> None:
    server.request("POST", "/score", [{"mode": "fail"}], x_cloudops_key=KEY)
    server.request("POST", "/score", [[1]], x_cloudops_key=KEY)
    metrics = server.request("GET", "/metrics", x_cloudops_key=KEY).body.decode()
    captured = "".join(path.read_text() for path in (server.folder / "capture").iterdir())
    assert captured
    assert KEY not in metrics + captured + server.log()
