"""HTTP through the router of a real endpoint, spoken by hand where a client library would tidy it up."""

from __future__ import annotations

import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudops.engine import service

from .service_rig import Endpoint, bad, endpoint, spec, until


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    with endpoint(tmp_path_factory.mktemp("http") / "endpoint") as made:
        made.up(spec("v1", min_replicas=2, max_replicas=2, request_timeout=2.0))
        yield made


@pytest.fixture
def wire(one: Endpoint) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", one.state.port), timeout=10) as connection:
        yield connection


def _read(wire: socket.socket) -> tuple[int, str, bytes]:
    """One response with a Content-Length: status, head, body."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += (part := wire.recv(65536))
        assert part, f"closed after {data!r}"
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.I)
    while length and len(body) < int(length[1]):
        body += wire.recv(65536)
    return int(head.split()[1]), head.decode(), body


def test_what_the_replica_sees_is_what_the_client_sent(wire: socket.socket) -> None:
    wire.sendall(
        b"POST /a%20b/../%2F?q=1%202&q=%C3%BC HTTP/1.1\r\nHost: example.org:1\r\nConnection: X-Mine, keep-alive\r\n"
        b"X-Mine: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\nX-Kept: yes\r\nContent-Encoding: gzip\r\n"
        b"Content-Length: 5\r\n\r\n\x00\xff\r\nx"
    )
    status, head, body = _read(wire)
    seen = json.loads(body)
    assert status == 200
    assert seen["path"] == "/a%20b/../%2F?q=1%202&q=%C3%BC"
    assert seen["body"].encode("latin-1") == b"\x00\xff\r\nx"
    headers = seen["headers"]
    assert (headers["host"], headers["x-kept"], headers["content-encoding"]) == ("example.org:1", "yes", "gzip")
    assert not {"x-mine", "keep-alive", "te", "user-agent", "accept", "content-type"} & set(headers)
    assert head.lower().count("x-twice: ") == 2
    assert "x-cloudops-version: v1" in head.lower()


def test_one_connection_many_requests(wire: socket.socket) -> None:
    request = b"POST /%d HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n%d"
    wire.sendall(b"".join(request % (number, number) for number in range(3)))
    stream = wire.makefile("rb")
    for number in range(3):
        assert stream.readline().startswith(b"HTTP/1.1 200")
        head = b"".join(iter(stream.readline, b"\r\n")).lower()
        body = json.loads(stream.read(int(re.search(rb"content-length: (\d+)", head)[1])))
        assert (body["path"], body["body"]) == (f"/{number}", str(number))


def test_chunked_request(one: Endpoint) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", one.state.port, timeout=10)
    connection.request("POST", "/x", iter([b"abc", b"d" * 100_000, b"e"]), encode_chunked=True)
    seen = json.loads(connection.getresponse().read())
    connection.close()
    assert seen["body"] == "abc" + "d" * 100_000 + "e"
    assert seen["headers"]["transfer-encoding"] == "chunked"


def test_large_bodies_are_passed_through(one: Endpoint) -> None:
    answer = one.ask("/large", bytes(30 << 20))
    assert (answer.status, answer.value) == (200, {"size": 30 << 20})
    assert len(one.ask("/echo", b"x" * (5 << 20)).value["body"]) == 5 << 20


def test_answer_before_the_body_was_read(one: Endpoint) -> None:
    for size in (10, 500_000, 30 << 20):
        with socket.create_connection(("127.0.0.1", one.state.port), timeout=10) as wire:
            wire.sendall(b"POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
            wire.sendall(bytes(min(size, 1 << 20)))
            status, _, body = _read(wire)
        assert (status, json.loads(body)) == (413, {"error": "too large"})


def test_expect_continue(wire: socket.socket) -> None:
    wire.sendall(b"POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    assert wire.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
    wire.sendall(b"ok")
    status, _, body = _read(wire)
    assert (status, json.loads(body)["body"]) == (200, "ok")


def test_head(wire: socket.socket) -> None:
    for _ in range(2):
        wire.sendall(b"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += wire.recv(1000)
        assert b"200" in head
        assert b"content-length: 1234" in head.lower()


def test_http_1_0(wire: socket.socket) -> None:
    wire.sendall(b"GET / HTTP/1.0\r\n\r\n")
    data = b"".join(iter(lambda: wire.recv(65536), b""))
    assert data.startswith(b"HTTP/1.0 200")
    wire.close()


def test_streamed_answer_comes_while_it_is_made(one: Endpoint) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", one.state.port, timeout=10)
    connection.request("GET", "/stream")
    response = connection.getresponse()
    began = time.monotonic()
    assert response.read1(7) == b"part 0\n"
    assert time.monotonic() - began < 0.1, "the first part is not held back for the last"
    assert response.read() == b"".join(b"part %d\n" % number for number in range(1, 10))
    connection.close()


def test_answer_that_breaks_off_is_seen_as_incomplete(one: Endpoint) -> None:
    answer = one.ask("/cut", None)
    assert answer.status == 0
    assert "Incomplete" in answer.error or "Reset" in answer.error
    assert one.ask().status == 200


def test_slow_replica_is_a_gateway_timeout(one: Endpoint) -> None:
    answer = one.ask("/sleep", b"4")
    assert (answer.status, answer.value) == (504, {"error": "version v1 did not answer in 2 s"})
    assert 1.9 < answer.seconds < 3.5


def test_client_that_leaves_frees_its_replica(one: Endpoint) -> None:
    before = _counted(one)
    with socket.create_connection(("127.0.0.1", one.state.port)) as wire:
        wire.sendall(b"POST /sleep HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n1.5")
        time.sleep(0.2)
    found = until(lambda: (now := _counted(one)) != before and now, timeout=1.4, what="it is counted when it leaves")
    assert (found[0] - before[0], found[1] - before[1], found[2] - before[2]) == (1, 0, 1)


def _counted(one: Endpoint) -> tuple[int, int, int]:
    time.sleep(1.1)  # the router writes once a second
    [found] = service.metrics(one.directory) or [None]
    return (found.requests, found.errors, found.client_errors) if found else (0, 0, 0)


@pytest.mark.parametrize(
    "request_",
    [
        b"NONSENSE\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"GET / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX : 1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n",
    ],
)
def test_malformed_requests_are_refused(one: Endpoint, wire: socket.socket, request_: bytes) -> None:
    wire.sendall(request_)
    status, head, body = _read(wire)
    assert (status, list(json.loads(body))) == (400, ["error"])
    assert "content-type: application/json" in head.lower()
    assert one.ask().status == 200


def test_nothing_that_a_client_sends_is_logged(one: Endpoint, wire: socket.socket) -> None:
    wire.sendall(b"POST /x HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer hunter2\x01\r\nContent-Length: 0\r\n\r\n")
    assert _read(wire)[0] == 400
    for log in one.directory.rglob("*.log"):
        assert b"hunter2" not in log.read_bytes(), log


def test_odd_targets(wire: socket.socket) -> None:
    wire.sendall(b"GET http://other.example/x?y HTTP/1.1\r\nHost: h\r\n\r\n")
    status, _, body = _read(wire)
    assert (status, json.loads(body)["path"]) == (200, "/x?y")
    wire.sendall(b"CONNECT other.example:443 HTTP/1.1\r\nHost: h\r\n\r\n")
    assert _read(wire)[0] == 405


def test_health_of_the_endpoint(one: Endpoint) -> None:
    answer = one.ask("/-/healthz", None)
    assert (answer.status, answer.value) == (200, {"ready": True})


def test_requests_spread_over_replicas(one: Endpoint) -> None:
    with one.asked(threads=4, path="/sleep", body=b"0.05") as answers:
        until(lambda: len(answers) > 60)
    share = [sum(answer.value["pid"] == pid for answer in answers) for pid in {one.value["pid"] for one in answers}]
    assert bad(answers) == []
    assert len(share) == 2
    assert min(share) > 0.35 * sum(share)


def test_request_that_kills_replicas_is_tried_twice(one: Endpoint) -> None:
    before = {replica.pid for replica in one.state.version("v1").replicas}
    answer = one.ask("/crash")
    assert (answer.status, answer.value) == (502, {"error": "version v1: its replica ended while it had the request"})
    until(lambda: _all_ready(one, but=before), what="both are replaced")
    assert one.ask().status == 200


def _all_ready(one: Endpoint, but: set[int | None]) -> bool:
    replicas = one.state.version("v1").replicas
    return all(replica.ready for replica in replicas) and not {replica.pid for replica in replicas} & but


def test_no_replica_is_unavailable_at_once(tmp_path: Path) -> None:
    with endpoint(tmp_path / "endpoint") as young:
        service.deploy(young.directory, spec("v1", env={"START_DELAY": "2"}))
        answer = until(lambda: (found := young.ask()).status and found)
        assert (answer.status, answer.value) == (503, {"error": "no replica is ready"})
        assert answer.headers["Retry-After"] == "1"
        assert answer.seconds < 1
        assert young.ask("/-/healthz", None).status == 503


def test_many_connections_at_once(one: Endpoint) -> None:
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(one.ask())) for _ in range(60)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [200] * 60
