"""Requests as they are on the wire, and what no client of Google's sends."""

from __future__ import annotations

import os
import socket
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from .serving import TOKEN, Reply, Server

_BOX = "/storage/v1/b/box"
_UPLOAD = "/upload/storage/v1/b/box/o"


def _put(server: Server, name: str, data: bytes = b"0123456789", **headers: str) -> Any:
    path = f"{_UPLOAD}?uploadType=media&name={name}"
    reply = server.ask("POST", path, data, {"Content-Type": "text/plain", **headers})
    assert reply.status == 200, reply.body
    return reply.json


def _xml(reply: Reply) -> tuple[int, str | None, str | None]:
    root = ET.fromstring(reply.body)
    return reply.status, root.findtext("Code"), root.findtext("Details")


def test_an_object_is_shown_as_the_service_shows_it(server: Server) -> None:
    shown = _put(server, "a%2Fb")
    generation = shown["generation"]
    assert shown["id"] == f"box/a/b/{generation}"
    assert shown["mediaLink"] == f"{server.url}/download/storage/v1/b/box/o/a%2Fb?generation={generation}&alt=media"
    assert shown["selfLink"] == f"{server.url}/storage/v1/b/box/o/a%2Fb"
    assert (shown["kind"], shown["size"], shown["metageneration"]) == ("storage#object", "10", "1")
    assert len(shown["etag"]) == 16
    assert shown["timeCreated"] == shown["updated"]


@pytest.mark.parametrize(
    ("wanted", "status", "content"),
    [
        ("bytes=0-3", 206, b"0123"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-2", 206, b"89"),
        ("bytes=5-99", 206, b"56789"),
        ("bytes=-99", 206, b"0123456789"),
        ("bytes=3-1", 200, b"0123456789"),
        ("bytes=0-1,4-5", 200, b"0123456789"),
        ("lines=0-1", 200, b"0123456789"),
        ("bytes=10-", 416, b"The requested range cannot be satisfied."),
        ("bytes=-0", 416, b"The requested range cannot be satisfied."),
    ],
)
def test_ranges(server: Server, wanted: str, status: int, content: bytes) -> None:
    _put(server, "a")
    reply = server.ask("GET", f"{_BOX}/o/a?alt=media", headers={"Range": wanted})
    assert (reply.status, reply.body) == (status, content)
    if status == 206:
        start = b"0123456789".index(content)
        assert reply.headers["content-range"] == f"bytes {start}-{start + len(content) - 1}/10"
    if status == 416:
        assert reply.headers["content-range"] == "bytes */10"


def test_a_download_tells_of_the_object(server: Server) -> None:
    shown = _put(server, "a")
    reply = server.ask("GET", "/download/storage/v1/b/box/o/a?alt=media")
    assert reply.headers["x-goog-hash"] == f"crc32c={shown['crc32c']},md5={shown['md5Hash']}"
    assert reply.headers["x-goog-generation"] == shown["generation"]
    assert (reply.headers["content-type"], reply.headers["etag"]) == ("text/plain", shown["etag"])
    cached = server.ask("GET", f"{_BOX}/o/a?alt=media", headers={"If-None-Match": shown["etag"]})
    assert (cached.status, cached.body) == (304, b"")
    since = {"If-Modified-Since": reply.headers["last-modified"]}
    assert server.ask("GET", f"{_BOX}/o/a?alt=media", headers=since).status == 304
    before = {"If-Unmodified-Since": "Mon, 01 Jan 2001 00:00:00 GMT"}
    assert server.ask("GET", f"{_BOX}/o/a?alt=media", headers=before).status == 412
    assert server.ask("GET", f"{_BOX}/o/a?ifGenerationNotMatch={shown['generation']}").status == 304
    missing = server.ask("GET", f"{_BOX}/o/nothing?alt=media")
    assert (missing.status, missing.body) == (404, b"No such object: box/nothing")


@pytest.mark.parametrize(
    ("method", "path", "body", "error"),
    [
        ("GET", f"{_BOX}/o/nothing", b"", (404, "notFound", "No such object: box/nothing")),
        ("GET", "/storage/v1/b/nothing/o", b"", (404, "notFound", "The specified bucket does not exist.")),
        ("GET", "/storage/v1/b/nothing/o/a", b"", (404, "notFound", "The specified bucket does not exist.")),
        ("POST", "/storage/v1/b", {"name": "new-box"}, (400, "required", "Required parameter: project")),
        ("POST", "/storage/v1/b?project=demo", {"name": "NO"}, (400, "invalid", None)),
        ("POST", "/storage/v1/b?project=demo", b"{", (400, "parseError", "Parse Error")),
        ("POST", f"{_UPLOAD}?uploadType=media", b"x", (400, "required", "Required parameter: name")),
        ("POST", f"{_UPLOAD}?uploadType=new&name=a", b"x", (400, "invalid", "Invalid upload type: new")),
        ("POST", f"{_UPLOAD}?uploadType=media&name=a%0Ab", b"x", (400, "invalid", None)),
        ("GET", f"{_BOX}/o?pageToken=%21", b"", (400, "invalid", "Invalid page token")),
        ("GET", f"{_BOX}/o?maxResults=x", b"", (400, "invalid", "Invalid value 'x' for maxResults.")),
        ("GET", f"{_BOX}?fields=a(b", b"", (400, "invalid", "Invalid field selection a(b")),
        ("GET", f"{_BOX}/o?softDeleted=true", b"", (501, "notImplemented", None)),
        ("PATCH", f"{_BOX}/o/x/acl/allUsers", {}, (501, "notImplemented", None)),
        ("GET", "/storage/v1/nothing", b"", (404, "notFound", "Not Found")),
        ("PATCH", _BOX, {"futureSetting": {"on": True}}, (501, "notImplemented", None)),
        ("POST", "/storage/v1/b?project=demo", {"name": "new-box", "location": "mars"}, (400, "invalid", None)),
        ("PATCH", _BOX, {"storageClass": "WARM"}, (400, "invalid", "The specified storage class is not valid.")),
        ("PATCH", _BOX, {"location": "EU"}, (400, "invalid", "The location of a bucket cannot be changed.")),
    ],
)
def test_errors(server: Server, method: str, path: str, body: Any, error: tuple[int, str, str | None]) -> None:
    status, reason, text = server.ask(method, path, body).error
    assert (status, reason) == error[:2]
    assert error[2] in (None, text)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", _BOX, {"storageClass": {}}),
        ("PATCH", _BOX, {"labels": 5}),
        ("PATCH", _BOX, {"iamConfiguration": {"uniformBucketLevelAccess": 5}}),
        ("PUT", f"{_BOX}/iam", {"bindings": [{"members": []}]}),
        ("POST", f"{_BOX}/o", {"name": "a", "md5Hash": 5}),
        ("POST", f"{_BOX}/o", {"name": "a", "contentType": 5}),
        ("POST", f"{_BOX}/o", {"name": "a", "metadata": {"k": 1}}),
        ("POST", f"{_BOX}/o", {"name": "\ud800"}),
        ("POST", f"{_BOX}/o/a/compose", {"sourceObjects": ["b"]}),
        ("POST", f"{_BOX}/o/a/compose", {"sourceObjects": [{"name": "b", "generation": "x"}]}),
        ("POST", f"{_BOX}/o/a/compose", {"sourceObjects": [{"name": "b"}] * 33}),
    ],
)
def test_values_of_other_types_are_refused(server: Server, method: str, path: str, body: Any) -> None:
    assert server.ask(method, path, body).error[:2] == (400, "invalid")
    assert server.buckets.list("box") == []


@pytest.mark.parametrize("bucket", ["..", ".", "x%00y", "%ff"])
def test_no_bucket_leads_out_of_the_tree(server: Server, bucket: str) -> None:
    (server.buckets.tree.parent / "outside").write_text("x")
    for path in (f"/storage/v1/b/{bucket}/o/outside?alt=media", f"/storage/v1/b/{bucket}/o", f"/{bucket}/outside"):
        assert server.ask("GET", path).status in (400, 404)
        assert server.ask("DELETE", path).status in (400, 404, 405)
    assert (server.buckets.tree.parent / "outside").exists()


def test_metadata_cannot_break_an_answer(server: Server) -> None:
    metadata = {"k\r\nx": "v", "ok": "a\r\nb: é"}
    server.ask("POST", f"{_BOX}/o", {"name": "a", "metadata": metadata})
    reply = server.ask("GET", "/box/a")
    assert reply.headers["x-goog-meta-ok"].encode("latin-1").decode() == "a b: é"
    assert [name for name in reply.headers if name.startswith("x-goog-meta-")] == ["x-goog-meta-ok"]


def test_a_failed_precondition_has_its_shape(server: Server) -> None:
    _put(server, "a")
    reply = server.ask("DELETE", f"{_BOX}/o/a?ifGenerationMatch=1")
    detail = {
        "message": "At least one of the pre-conditions you specified did not hold.",
        "domain": "global",
        "reason": "conditionNotMet",
        "locationType": "header",
        "location": "If-Match",
    }
    assert reply.json == {"error": {"code": 412, "message": detail["message"], "errors": [detail]}}


def test_who_is_not_known_is_told_so(server: Server) -> None:
    reply = server.ask("GET", f"{_BOX}/o/a", token=None)
    status, reason, text = reply.error
    assert (status, reason) == (401, "required")
    assert text.startswith("Anonymous caller does not have storage.objects.get access")
    assert reply.headers["www-authenticate"].startswith("Bearer")
    assert server.ask("GET", _BOX, token="old").error == (401, "authError", "Invalid Credentials")
    assert _xml(server.ask("GET", "/box/a", token=None))[:2] == (401, "AuthenticationRequired")


@pytest.mark.parametrize(
    "headers",
    [
        {"x-goog-hash": "crc32c=AAAAAA=="},
        {"x-goog-hash": "md5=1B2M2Y8AsgTpgAmY7PhCfg=="},
        {"Content-MD5": "1B2M2Y8AsgTpgAmY7PhCfg=="},
    ],
)
def test_bytes_that_are_not_those_of_the_checksum_are_refused(server: Server, headers: dict[str, str]) -> None:
    reply = server.ask("POST", f"{_UPLOAD}?uploadType=media&name=a", b"x", headers)
    assert reply.error[:2] == (400, "invalid")
    assert "doesn't match calculated" in reply.error[2]
    assert _xml(server.ask("PUT", "/box/a", b"x", headers))[:2] == (400, "BadDigest")
    assert server.buckets.list("box") == []


def _related(*parts: bytes, boundary: bytes = b"b") -> bytes:
    return b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--"


@pytest.mark.parametrize("content", [b"", b"x", b"\r\n", b"--b", b"\r\n--", os.urandom(3 << 20), b"\r\n--a" * 400_000])
def test_two_parts_in_one_body(server: Server, content: bytes) -> None:
    metadata = b'Content-Type: application/json\r\n\r\n{"name": "a", "metadata": {"k": "v"}}'
    body = _related(metadata, b"Content-Type: text/plain\r\n\r\n" + content)
    reply = server.ask(
        "POST", f"{_UPLOAD}?uploadType=multipart", body, {"Content-Type": 'multipart/related; boundary="b"'}
    )
    assert (reply.status, reply.json["metadata"], reply.json["contentType"]) == (200, {"k": "v"}, "text/plain")
    assert server.buckets.read("box", "a") == content


@pytest.mark.parametrize("body", [b"", b"--b\r\n\r\n{}", _related(b"\r\n{}"), _related(b"\r\n{", b"\r\nx")])
def test_a_body_that_ends_too_soon_is_refused(server: Server, body: bytes) -> None:
    headers = {"Content-Type": "multipart/related; boundary=b"}
    reply = server.ask("POST", f"{_UPLOAD}?uploadType=multipart&name=a", body, headers)
    assert reply.status == 400
    assert server.buckets.list("box") == []


def _begin(server: Server, query: str = "", **headers: str) -> str:
    reply = server.ask("POST", f"{_UPLOAD}?uploadType=resumable&name=r{query}", {}, headers)
    assert reply.status == 200, reply.body
    return reply.headers["location"].removeprefix(server.url)


def test_chunks_are_kept_in_whole_units(server: Server) -> None:
    path, data = _begin(server), os.urandom(600_000)
    reply = server.ask("PUT", path, data[:300_000], {"Content-Range": "bytes 0-299999/*"})
    assert (reply.status, reply.headers["range"]) == (308, "bytes=0-262143")
    # What is there already is left aside.
    reply = server.ask("PUT", path, data[100_000:], {"Content-Range": "bytes 100000-599999/600000"})
    assert reply.status == 200
    assert server.buckets.read("box", "r") == data


def _half(server: Server, method: str, path: str, data: bytes, *headers: str) -> None:
    """Send half of a request's body, and end."""
    own = [f"Authorization: Bearer {TOKEN}", f"Content-Length: {2 * len(data)}", *headers]
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall("\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *own, "", ""]).encode() + data)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1000):
            pass


def test_what_came_of_a_chunk_is_kept(server: Server) -> None:
    path, data = _begin(server), os.urandom(600_000)
    _half(server, "PUT", path, data[:300_000], "Content-Range: bytes 0-599999/600000")
    there = server.ask("PUT", path, headers={"Content-Range": "bytes */600000"})
    assert there.headers["range"] == "bytes=0-299999"
    reply = server.ask("PUT", path, data[300_000:], {"Content-Range": "bytes 300000-599999/600000"})
    assert reply.status == 200
    assert server.buckets.read("box", "r") == data


def test_half_an_object_is_none(server: Server) -> None:
    _half(server, "POST", f"{_UPLOAD}?uploadType=media&name=a", b"x" * 1000)
    _half(server, "PUT", "/box/a", b"x" * 1000)
    assert server.buckets.list("box") == []


def test_chunks_that_do_not_fit_are_refused(server: Server) -> None:
    path = _begin(server)
    ahead = server.ask("PUT", path, b"x", {"Content-Range": "bytes 5-5/6"})
    assert "exceeds already uploaded size of 0 byte(s)" in ahead.error[2]
    small = server.ask("PUT", path, b"xy", {"Content-Range": "bytes 0-1/9"})
    assert "The received request contained 2 bytes" in small.error[2]
    assert server.ask("PUT", path, b"xy", {"Content-Range": "bytes 1-0/9"}).status == 400
    assert server.ask("PUT", path, b"xy", {"Content-Range": "lines 0-1/9"}).status == 400
    nothing = server.ask("PUT", path, headers={"Content-Range": "bytes */9"})
    assert (nothing.status, "range" in nothing.headers) == (308, False)


def test_an_upload_of_unknown_length_ends_when_it_is_told(server: Server) -> None:
    path, data = _begin(server), bytes(256 << 10)
    assert server.ask("PUT", path, data, {"Content-Range": f"bytes 0-{len(data) - 1}/*"}).status == 308
    assert server.ask("PUT", path, headers={"Content-Range": f"bytes */{len(data)}"}).json["size"] == str(len(data))
    assert server.ask("PUT", _begin(server), headers={"Content-Range": "bytes */0"}).json["size"] == "0"
    assert server.ask("PUT", _begin(server), b"whole").json["size"] == "5"


def test_an_upload_that_was_given_up_is_gone(server: Server) -> None:
    path = _begin(server)
    assert server.ask("DELETE", path).status == 499
    assert server.ask("PUT", path, b"x").status == 410
    unknown = path.rpartition("=")[0] + "=0123"
    assert server.ask("PUT", unknown, b"x").status == 404
    assert server.ask("PUT", path.rpartition("=")[0] + "=../../objects", b"x").status == 404
    assert server.ask("PUT", unknown, b"x", token=None).status == 401


def test_conditions_of_a_resumable_upload_hold_at_its_end(server: Server) -> None:
    path = _begin(server, "&ifGenerationMatch=0")
    _put(server, "r")
    assert server.ask("PUT", path, b"x").error[:2] == (412, "conditionNotMet")
    early = server.ask("POST", f"{_UPLOAD}?uploadType=resumable&name=r&ifGenerationMatch=0", {})
    assert early.error[:2] == (412, "conditionNotMet")


def test_a_wrong_checksum_at_the_end_of_a_resumable_upload(server: Server) -> None:
    reply = server.ask("PUT", _begin(server), b"x", {"X-Goog-Hash": "crc32c=AAAAAA=="})
    assert reply.error[:2] == (400, "invalid")


def test_members_are_chosen(server: Server) -> None:
    for name in ("a", "b"):
        _put(server, name)
    wanted = "items(name,metadata/x),nextPageToken,kind"
    assert server.ask("GET", f"{_BOX}/o?fields={wanted}").json == {
        "kind": "storage#objects",
        "items": [{"name": "a"}, {"name": "b"}],
    }
    assert server.ask("GET", f"{_BOX}/o?fields=items/size").json == {"items": [{"size": "10"}, {"size": "10"}]}
    assert server.ask("GET", f"{_BOX}/o/a?fields=name,size").json == {"name": "a", "size": "10"}
    assert set(server.ask("GET", f"{_BOX}/o/a?fields=*").json) > {"name", "size", "etag"}


def test_layout_and_service_account(server: Server) -> None:
    assert server.ask("GET", f"{_BOX}/storageLayout").json["hierarchicalNamespace"] == {"enabled": False}
    account = server.ask("GET", "/storage/v1/projects/demo/serviceAccount").json
    assert account["email_address"] == "service-123456789012@gs-project-accounts.iam.gserviceaccount.com"


def test_a_batch_takes_no_uploads(server: Server) -> None:
    inner = f"POST {_UPLOAD}?uploadType=media&name=a HTTP/1.1\r\n\r\nx"
    body = f"--x\r\nContent-Type: application/http\r\n\r\n{inner}\r\n--x--"
    reply = server.ask("POST", "/batch/storage/v1", body, {"Content-Type": "multipart/mixed; boundary=x"})
    assert reply.status == 200
    assert b"HTTP/1.1 400" in reply.body
    assert server.buckets.list("box") == []
    assert server.ask("POST", "/batch/storage/v1", b"x", {"Content-Type": "text/plain"}).status == 400


# The XML API


@pytest.mark.parametrize("style", ["path", "host"])
def test_objects_in_xml(server: Server, style: str) -> None:
    root = "/box" if style == "path" else ""
    host = {} if style == "path" else {"Host": "box.storage.googleapis.com"}
    made = server.ask("PUT", f"{root}/a%20b/c", b"hello", {"Content-Type": "text/plain", "x-goog-meta-k": "v", **host})
    assert (made.status, made.headers["etag"]) == (200, '"5d41402abc4b2a76b9719d911017c592"')
    got = server.ask("GET", f"{root}/a%20b/c", headers={"Range": "bytes=1-2", **host})
    assert (got.status, got.body, got.headers["x-goog-meta-k"]) == (206, b"el", "v")
    head = server.ask("HEAD", f"{root}/a%20b/c", headers=host)
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "5")
    assert head.headers["x-goog-generation"] == made.headers["x-goog-generation"]
    tag = {"If-None-Match": made.headers["etag"], **host}
    assert server.ask("GET", f"{root}/a%20b/c", headers=tag).status == 304
    assert server.ask("GET", f"{root}/a%20b/c", headers={"If-Match": '"other"', **host}).status == 412
    once = {"x-goog-if-generation-match": "0", **host}
    assert _xml(server.ask("PUT", f"{root}/a%20b/c", b"x", once))[:2] == (412, "PreconditionFailed")
    copied = server.ask("PUT", f"{root}/copy", headers={"x-goog-copy-source": "box/a%20b/c", **host})
    assert copied.status == 200
    assert server.buckets.get("box", "copy").metadata == {"k": "v"}
    assert server.ask("DELETE", f"{root}/a%20b/c", headers=host).status == 204
    assert _xml(server.ask("GET", f"{root}/a%20b/c", headers=host)) == (404, "NoSuchKey", "No such object: box/a b/c")
    assert server.ask("HEAD", root or "/", headers=host).status == 200


def _listed(reply: Reply) -> tuple[list[str | None], list[str | None], str | None]:
    space = "{http://doc.s3.amazonaws.com/2006-03-01}"
    root = ET.fromstring(reply.body)
    keys = [one.text for one in root.iterfind(f"{space}Contents/{space}Key")]
    prefixes = [one.text for one in root.iterfind(f"{space}CommonPrefixes/{space}Prefix")]
    return keys, prefixes, root.findtext(f"{space}NextContinuationToken") or root.findtext(f"{space}NextMarker")


def test_lists_in_xml(server: Server) -> None:
    for name in ("a", "b%2F1", "b%2F2", "c%26d"):
        _put(server, name)
    assert _listed(server.ask("GET", "/box")) == (["a", "b/1", "b/2", "c&d"], [], None)
    assert _listed(server.ask("GET", "/box?delimiter=/&max-keys=2")) == (["a"], ["b/"], "b/")
    assert _listed(server.ask("GET", "/box?delimiter=/&marker=b/")) == (["c&d"], [], None)
    first = _listed(server.ask("GET", "/box?list-type=2&max-keys=3"))
    assert first[0] == ["a", "b/1", "b/2"]
    assert _listed(server.ask("GET", f"/box?list-type=2&continuation-token={first[2]}"))[0] == ["c&d"]
    assert _listed(server.ask("GET", "/box?list-type=2&prefix=b/&start-after=b/1"))[0] == ["b/2"]
    assert _xml(server.ask("GET", "/nothing-here"))[:2] == (404, "NoSuchBucket")


def _part(server: Server, id: str | None, number: int, data: bytes) -> str:
    reply = server.ask("PUT", f"/box/m?partNumber={number}&uploadId={id}", data)
    assert reply.status == 200, reply.body
    return reply.headers["etag"]


def _complete(server: Server, id: str | None, *parts: tuple[int, str]) -> Reply:
    body = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>" for number, tag in parts)
    whole = f'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{body}</CompleteMultipartUpload>'
    return server.ask("POST", f"/box/m?uploadId={id}", whole)


def test_uploads_in_parts(server: Server) -> None:
    begun = server.ask("POST", "/box/m?uploads", b"", {"Content-Type": "text/plain"})
    id = ET.fromstring(begun.body).findtext("{http://s3.amazonaws.com/doc/2006-03-01/}UploadId")
    large = bytes(5 << 20)
    second = _part(server, id, 2, b"end")
    small = _part(server, id, 1, b"small")
    assert _xml(_complete(server, id, (1, small), (2, second)))[:2] == (400, "EntityTooSmall")
    first = _part(server, id, 1, large)
    assert b"<PartNumber>2</PartNumber>" in server.ask("GET", f"/box/m?uploadId={id}").body
    assert id is not None
    assert id.encode() in server.ask("GET", "/box?uploads").body
    assert _xml(_complete(server, id, (2, second), (1, first)))[:2] == (400, "InvalidPartOrder")
    assert _xml(_complete(server, id, (1, small), (2, second)))[:2] == (400, "InvalidPart")
    assert _xml(server.ask("POST", f"/box/m?uploadId={id}", b"<no"))[0] == 400
    assert _xml(server.ask("PUT", f"/box/m?partNumber=0&uploadId={id}", b"x"))[0] == 400
    wrong = server.ask("PUT", f"/box/m?partNumber=3&uploadId={id}", b"x", {"x-goog-hash": "crc32c=AAAAAA=="})
    assert _xml(wrong)[:2] == (400, "BadDigest")
    assert _complete(server, id, (1, first), (2, second)).status == 200
    assert server.buckets.read("box", "m") == large + b"end"
    assert server.buckets.get("box", "m").content_type == "text/plain"
    assert _xml(_complete(server, id, (1, first)))[:2] == (404, "NoSuchUpload")


def test_parts_can_be_given_up(server: Server) -> None:
    begun = server.ask("POST", "/box/m?uploads")
    id = ET.fromstring(begun.body).findtext("{http://s3.amazonaws.com/doc/2006-03-01/}UploadId")
    _part(server, id, 1, b"x")
    assert server.ask("DELETE", f"/box/m?uploadId={id}").status == 204
    assert server.ask("DELETE", f"/box/m?uploadId={id}").status == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/box?acl"),
        ("PUT", "/box?versioning"),
        ("PUT", "/new-box"),
        ("DELETE", "/box"),
        ("GET", "/"),
        ("POST", "/box"),
    ],
)
def test_what_is_left_out_of_the_xml_api_is_refused(server: Server, method: str, path: str) -> None:
    assert _xml(server.ask(method, path))[:2] == (501, "NotImplemented")
    signed = {"x-goog-resumable": "start"}
    assert _xml(server.ask("POST", "/box/a", b"", signed))[:2] == (501, "NotImplemented")
