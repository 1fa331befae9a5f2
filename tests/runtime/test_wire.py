"""HTTP itself, byte by byte where it matters, through real processes of both servers."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator

import pytest

from .rig import SERVERS, Running, send, serving

LIMIT = 100_000
BODY = b"[[1, 2], [3, 4]]"
EXPECTED = {"predictions": [6, 14]}


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("wire"), request.param, CLOUDOPS_MAX_PAYLOAD=LIMIT) as running:
        yield running


def exchange(server: Running, sent: bytes) -> bytes:
    """Everything that the server says to ``sent`` until it closes or falls silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=1) as connection:
        connection.sendall(sent)
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except (TimeoutError, ConnectionResetError):
            pass
        return received


def status_of(received: bytes) -> int:
    return int(received.split(b" ", 2)[1])


def post(headers: str, body: bytes = b"") -> bytes:
    return f"POST /invocations HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n".encode() + body


def test_one_connection_serves_many_requests(server: Running) -> None:
    connection = server.connect()
    connection.connect()
    first = connection.sock
    for _ in range(5):
        assert send(connection, "POST", "/invocations", [[1, 2]]).json() == {"predictions": [6]}
        assert send(connection, "POST", "/invocations", b"{").status == 400
        assert send(connection, "GET", "/nope").status == 404
        assert send(connection, "HEAD", "/ping").body == b""
    assert connection.sock is first


def test_pipelined_requests(server: Running) -> None:
    request = post(f"Content-Length: {len(BODY)}", BODY)
    last = post(f"Content-Length: {len(BODY)}\r\nConnection: close", BODY)
    assert exchange(server, request + request + last).count(json.dumps(EXPECTED).encode()) == 3


def test_a_body_in_pieces(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in post(f"Content-Length: {len(BODY)}\r\nConnection: close", BODY):
            connection.sendall(bytes([byte]))
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert json.loads(response.read()) == EXPECTED


def test_a_chunked_body(server: Running) -> None:
    connection = server.connect()
    for _ in range(2):  # and the connection stays good
        connection.request(
            "POST",
            "/invocations",
            iter([BODY[:3], BODY[3:]]),
            encode_chunked=True,
            headers={"transfer-encoding": "chunked"},
        )
        assert json.loads(connection.getresponse().read()) == EXPECTED


def test_a_chunked_body_with_extensions_and_trailers(server: Running) -> None:
    body = b"%x;a=b\r\n%s\r\n0\r\nX-Trailer: 1\r\n\r\n" % (len(BODY), BODY)
    received = exchange(server, post("Transfer-Encoding: chunked\r\nConnection: close", body))
    assert json.loads(received.split(b"\r\n\r\n", 1)[1]) == EXPECTED


def test_waiting_for_100_continue(server: Running) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(post(f"Content-Length: {len(BODY)}\r\nExpect: 100-continue\r\nConnection: close"))
        assert connection.recv(1000).startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.sendall(BODY)
        response = http.client.HTTPResponse(connection)
        response.begin()
        assert json.loads(response.read()) == EXPECTED


@pytest.mark.parametrize("expect", ["", "\r\nExpect: 100-continue"])
def test_too_large_by_its_length_is_refused_before_it_is_sent(server: Running, expect: str) -> None:
    received = exchange(server, post(f"Content-Length: {10**12}{expect}"))
    assert status_of(received) == 413
    assert b"the body is larger than 100000 bytes" in received
    assert b"connection: close" in received.lower()


@pytest.mark.parametrize("size", [LIMIT + 1, 20_000_000])
def test_a_client_that_sends_too_much_still_gets_its_answer(server: Running, size: int) -> None:
    answer = server.request("POST", "/invocations", b" " * size)
    assert (answer.status, answer.headers["connection"]) == (413, "close")


def test_too_large_in_chunks(server: Running) -> None:
    connection = server.connect()
    chunks = iter([b" " * 50_000] * 3)
    connection.request("POST", "/invocations", chunks, encode_chunked=True, headers={"transfer-encoding": "chunked"})
    assert connection.getresponse().status == 413


def test_exactly_at_the_limit(server: Running) -> None:
    body = BODY + b" " * (LIMIT - len(BODY))
    assert server.request("POST", "/invocations", body).json() == EXPECTED


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length: -1",
        "Content-Length: ten",
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
    ],
)
def test_a_bad_length(server: Running, headers: str) -> None:
    received = exchange(server, post(headers, b"5\r\nhello\r\n0\r\n\r\n"))
    assert status_of(received) == 400
    assert received.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "headers",
    [
        "Content-Length : 16",
        "Content-Length\t: 16",
        "Content-Length 16",
        "A: b\r\nnonsense\r\nContent-Length: 16",
        ": 16",
    ],
)
def test_a_header_line_that_is_none(server: Running, headers: str) -> None:
    received = exchange(server, post(headers, BODY) + post(f"Content-Length: {len(BODY)}", BODY))
    assert status_of(received) == 400
    assert received.count(b"HTTP/1.1 ") == 1  # and the connection is closed: who knows where the next request begins


@pytest.mark.parametrize("encoding", ["gzip", "br", "gzip, identity"])
def test_a_compressed_body(server: Running, encoding: str) -> None:
    answer = server.request("POST", "/invocations", BODY, content_encoding=encoding)
    assert answer.status == 415
    assert answer.error == f"content encoding {encoding!r} is not understood; send the body as it is"
    assert answer.headers["accept-encoding"] == "identity"
    assert server.request("POST", "/invocations", BODY, content_encoding="Identity").status == 200


def test_damaged_chunks(server: Running) -> None:
    assert status_of(exchange(server, post("Transfer-Encoding: chunked", b"zz\r\nhello\r\n0\r\n\r\n"))) == 400


@pytest.mark.parametrize("sent", [b"nonsense\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n"])
def test_what_is_not_http(server: Running, sent: bytes) -> None:
    received = exchange(server, sent)
    assert received == b"" or b" 400 " in received.splitlines()[0]


def test_http_1_0(server: Running) -> None:
    received = exchange(server, b"GET /ping HTTP/1.0\r\n\r\n")
    assert status_of(received) == 200
    assert received.endswith(b"Healthy")


def test_paths_are_decoded(server: Running) -> None:
    assert status_of(exchange(server, b"GET /%70ing?x=%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) == 200
    assert status_of(exchange(server, b"GET http://x/ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")) == 200


def test_clients_that_go_away_do_no_harm(server: Running) -> None:
    before = server.log()
    for sent in (
        b"",
        b"POST /inv",
        post("Content-Length: 100", b"[[1"),
        post("Transfer-Encoding: chunked", b"5\r\nhe"),
    ):
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(sent)
    assert server.request("POST", "/invocations", json.loads(BODY)).json() == EXPECTED
    assert server.log() == before
