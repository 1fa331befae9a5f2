"""What requests are about, and the errors that faults call for."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from cloudops_vertex.emulator.storage import Buckets, StorageApi, identify, refuse, routes, service, subjects

from cloudops.offline.clock import Clock
from cloudops.offline.faults import ANSWERS, FaultKind


def _environ(method: str, target: str, body: bytes = b"", host: str = "storage.googleapis.com", **more: Any) -> Any:
    return {
        "REQUEST_METHOD": method,
        "RAW_URI": target,
        "QUERY_STRING": target.partition("?")[2],
        "HTTP_HOST": host,
        "wsgi.url_scheme": "https",
        "wsgi.input": io.BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
        **more,
    }


@pytest.mark.parametrize(
    ("method", "target", "operation", "resource"),
    [
        ("GET", "/storage/v1/b?project=demo", "buckets.list", ""),
        ("GET", "/storage/v1/b/box", "buckets.get", "box"),
        ("GET", "/storage/v1/b/box/o?prefix=a", "objects.list", "box"),
        ("GET", "/storage/v1/b/box/o/a%2Fb?alt=media", "objects.get", "box/a/b"),
        ("GET", "/download/storage/v1/b/box/o/a?alt=media", "objects.get", "box/a"),
        ("POST", "/upload/storage/v1/b/box/o?uploadType=media&name=a/b", "objects.insert", "box/a/b"),
        ("PUT", "/upload/storage/v1/b/box/o?uploadType=resumable&name=a&upload_id=1", "objects.insert", "box/a"),
        ("PUT", "/resumable/upload/storage/v1/b/box/o?upload_id=1", "objects.insert", "box"),
        ("POST", "/storage/v1/b/box/o/a/rewriteTo/b/other/o/b", "objects.rewrite", "box/a"),
        ("POST", "/storage/v1/b/box/o/a/moveTo/o/b", "objects.move", "box/a"),
        ("POST", "/storage/v1/b/box/o/a/acl", "objectAccessControls", "box/a"),
        ("GET", "/storage/v1/projects/demo/serviceAccount", "projects.serviceAccount.get", "demo"),
        ("POST", "/batch/storage/v1", "batch", ""),
        ("GET", "/storage/v1/nothing", "", ""),
        ("PUT", "/box/a/b", "objects.insert", "box/a/b"),
        ("HEAD", "/box/a", "objects.get", "box/a"),
        ("GET", "/box?list-type=2", "objects.list", "box"),
        ("POST", "/box/a?uploads", "multipartUploads.create", "box/a"),
        ("PUT", "/box/a?partNumber=1&uploadId=x", "multipartUploads.uploadPart", "box/a"),
        ("GET", "/%ff/a", "", ""),
    ],
)
def test_a_request_is_identified(method: str, target: str, operation: str, resource: str) -> None:
    assert identify(_environ(method, target)) == (f"storage:{operation}", resource)
    assert not operation or f"storage:{operation}" in subjects()


def test_a_bucket_in_the_host_is_found() -> None:
    environ = _environ("GET", "/a/b", host="box.storage.googleapis.com:443")
    assert identify(environ) == ("storage:objects.get", "box/a/b")


def test_every_operation_is_answered_or_said_to_be_left_out() -> None:
    left_out = {operation for _, operation, _ in routes._OTHERS}
    answered = {operation for operation, _ in service._HANDLERS}
    assert set(routes.operations()) == left_out | answered | {"batch"}
    assert not left_out & answered


@pytest.mark.parametrize("chunked", [False, True])
def test_a_name_in_the_body_is_found_and_the_body_put_back(tmp_path: Any, chunked: bool) -> None:
    buckets = Buckets(tmp_path, Clock())
    buckets.create("box", project="demo")
    api = StorageApi(buckets, str, lambda environ: "me")
    content = bytes(100_000)
    body = b'--b\r\n\r\n{"kind": "x", "name": "a/\\"b"}\r\n--b\r\nContent-Type: x/y\r\n\r\n' + content + b"\r\n--b--"
    environ = _environ("POST", "/upload/storage/v1/b/box/o?uploadType=multipart", body)
    environ["CONTENT_TYPE"] = "multipart/related; boundary=b"
    if chunked:
        del environ["CONTENT_LENGTH"]
        environ["wsgi.input_terminated"] = True
    assert identify(environ) == ("storage:objects.insert", 'box/a/"b')
    assert identify(environ) == ("storage:objects.insert", 'box/a/"b')
    status: list[str] = []
    assert api(environ, lambda line, headers, exc_info=None: status.append(line))  # type: ignore[arg-type,return-value]
    assert status == ["200 OK"]
    assert buckets.read("box", 'a/"b') == content
    buckets.close()


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [
        (FaultKind.THROTTLING, 429, "rateLimitExceeded"),
        (FaultKind.QUOTA, 429, "rateLimitExceeded"),
        (FaultKind.SERVER_ERROR, 503, "backendError"),
        (FaultKind.ACCESS_DENIED, 403, "forbidden"),
        (FaultKind.EXPIRED_CREDENTIALS, 401, "authError"),
        (FaultKind.MISSING_CREDENTIALS, 401, "required"),
    ],
)
def test_faults_have_the_form_of_each_api(kind: FaultKind, status: int, reason: str) -> None:
    lines: list[str] = []

    def answer(target: str) -> bytes:
        environ = _environ("GET", target)
        return b"".join(refuse(kind, environ, lambda line, headers, exc_info=None: lines.append(line)))  # type: ignore[arg-type,return-value]

    error = json.loads(answer("/storage/v1/b/box/o/a"))["error"]
    assert (error["code"], error["errors"][0]["reason"]) == (status, reason)
    assert answer("/box/a").startswith(b"<?xml version='1.0' encoding='UTF-8'?><Error><Code>")
    assert answer("/storage/v1/b/box/o/a?alt=media").decode() == error["message"]
    assert {line[:3] for line in lines} == {str(status)}


def test_all_answers_can_be_given() -> None:
    for kind in ANSWERS:
        assert refuse(kind, _environ("GET", "/%ff"), lambda *args: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(ValueError, match="none that a service answers"):
        refuse(FaultKind.TIMEOUT, _environ("GET", "/box"), lambda *args: None)  # type: ignore[arg-type,return-value]
