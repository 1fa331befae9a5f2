"""Secrets are kept, read, and deleted, and what is not right is refused."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cloudops_vertex.emulator.secret_manager import SecretManager
from cloudops_vertex.emulator.site import Site

from .calls import PROJECT, new_site

SECRETS = f"/v1/projects/{PROJECT}/secrets"
ONE = {"replication": {"automatic": {}}, "labels": {"a": "b"}}

Send = Callable[..., tuple[int, Any]]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return new_site(tmp_path)


@pytest.fixture
def send(site: Site) -> Send:
    token = site.tokens.issue("me@example-project.iam.gserviceaccount.com").text
    service = SecretManager(site)

    def call(verb: str, path: str, body: Any = None, query: str = "", *, signed: bool = True) -> tuple[int, Any]:
        data = b"" if body is None else json.dumps(body).encode()
        environ = {
            "REQUEST_METHOD": verb,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "HTTP_HOST": "secretmanager.googleapis.com",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(data)),
            "wsgi.input": io.BytesIO(data),
            **({"HTTP_AUTHORIZATION": f"Bearer {token}"} if signed else {}),
        }
        told: list[int] = []

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            told.append(int(status.split()[0]))
            return lambda piece: None

        return (lambda text: (told[0], json.loads(text)))(b"".join(service(environ, start)))

    return call


def payload(text: str) -> dict[str, Any]:
    return {"payload": {"data": base64.b64encode(text.encode()).decode()}}


def test_versions_are_numbered_and_the_latest_is_read(send: Send) -> None:
    status, made = send("POST", SECRETS, ONE, "secretId=s")
    assert status == 200
    assert made["name"].endswith("/secrets/s")
    assert PROJECT not in made["name"]  # it carries the number
    assert send("POST", f"{SECRETS}/s:addVersion", payload("one"))[1]["name"].endswith("/versions/1")
    assert send("POST", f"{SECRETS}/s:addVersion", payload("two"))[1]["name"].endswith("/versions/2")
    for version, text in (("latest", "two"), ("1", "one")):
        status, found = send("GET", f"{SECRETS}/s/versions/{version}:access")
        assert (status, base64.b64decode(found["payload"]["data"]).decode()) == (200, text)
    assert send("GET", f"{SECRETS}/s")[1]["labels"] == {"a": "b"}
    assert [one["name"] for one in send("GET", SECRETS)[1]["secrets"]] == [made["name"]]
    assert send("DELETE", f"{SECRETS}/s") == (200, {})
    assert send("GET", f"{SECRETS}/s/versions/latest:access")[0] == 404


def test_what_is_not_right_is_refused(site: Site, send: Send) -> None:
    assert send("POST", SECRETS, ONE, "secretId=s", signed=False)[0] == 401
    assert send("POST", SECRETS, ONE, "secretId=a.b")[0] == 400
    assert send("POST", SECRETS, {}, "secretId=s")[0] == 400
    assert send("POST", SECRETS, {**ONE, "replicas": 1}, "secretId=s")[0] == 400
    assert send("POST", SECRETS, ONE, "secretId=s")[0] == 200
    status, refused = send("POST", SECRETS, ONE, "secretId=s")
    assert (status, refused["error"]["status"]) == (409, "ALREADY_EXISTS")
    assert send("GET", f"{SECRETS}/s/versions/latest:access")[0] == 404
    assert send("POST", f"{SECRETS}/s:addVersion", {"payload": {"data": "*"}})[0] == 400
    assert send("POST", f"{SECRETS}/s:addVersion", payload(""))[0] == 400
    assert send("POST", f"{SECRETS}/s:addVersion", payload("x" * 65537))[0] == 400
    wrong = payload("x")
    wrong["payload"]["dataCrc32c"] = "1"
    assert send("POST", f"{SECRETS}/s:addVersion", wrong)[0] == 400
    assert send("POST", f"{SECRETS}/none:addVersion", payload("x"))[0] == 404
    assert send("DELETE", f"{SECRETS}/none")[0] == 404
    assert send("POST", f"{SECRETS}/s:setIamPolicy", {})[0] == 501
    site.denied.add("secretmanager.versions.*")
    assert send("POST", f"{SECRETS}/s:addVersion", payload("x"))[0] == 403


def test_nothing_outlives_a_reset(site: Site, send: Send) -> None:
    send("POST", SECRETS, ONE, "secretId=s")
    site.secrets.reset()
    assert send("GET", SECRETS)[1]["secrets"] == []
