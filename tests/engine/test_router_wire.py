from __future__ import annotations

import http.client
import io
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudops.engine.router_wire import Malformed, Response, passed_on, request_head

RESPONSES = {
    "counted": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: a\r\nX: b\r\n\r\nhello",
    "empty": b"HTTP/1.1 200 \r\ncontent-length:0\r\n\r\n",
    "no reason": b"HTTP/1.1 404\r\nContent-Length: 1\r\n\r\nx",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5;x=1\r\nhello\r\n1\r\n \r\nA\r\n0123456789\r\n0\r\n\r\n",
    "trailers": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n",
    "no content": b"HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n",
    "interim": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "until closed": b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nas long as it lasts",
    "repeated length": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
}


class _Wire:
    def __init__(self, data: bytes) -> None:
        self.data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self.data)


def _reference(data: bytes) -> tuple[int, bytes]:
    """What the standard library reads; it knows only the first interim response."""
    data = data[data.rindex(b"HTTP/1") :]
    response = http.client.HTTPResponse(_Wire(data))  # type: ignore[arg-type]
    response.begin()
    return response.status, response.read()


@pytest.mark.parametrize("name", RESPONSES)
@given(cuts=st.lists(st.integers(0, 200), max_size=8))
def test_any_pieces_read_as_the_whole(name: str, cuts: list[int]) -> None:
    data = RESPONSES[name]
    response = Response(head_only=False)
    body = b""
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    for start, end in itertools.pairwise(places):
        response.feed(data[start:end])
        body += response.take()
    if name == "until closed":
        assert not response.done
        assert response.end()
    assert response.done
    assert (response.status, body) == _reference(data)
    assert response.keep_alive == (name != "until closed")


@given(parts=st.lists(st.binary(min_size=1, max_size=300)), step=st.integers(1, 97))
def test_chunks_of_any_size(parts: list[bytes], step: int) -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
    data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
    response = Response(head_only=False)
    for start in range(0, len(data), step):
        assert not response.done
        response.feed(data[start : start + step])
    assert response.done
    assert response.size == sum(map(len, parts))
    assert response.take() == b"".join(parts)
    assert response.size == 0


@given(st.binary(max_size=200))
def test_nonsense_is_refused_or_unfinished(data: bytes) -> None:
    for prefix in (b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"):
        response = Response(head_only=False)
        try:
            response.feed(prefix + data)
        except Malformed:
            continue
        assert isinstance(response.end(), bool)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"SSH-2.0-OpenSSH\r\n\r\n", "a first line"),
        (b"HTTP/2.0 200 OK\r\n\r\n", "a first line"),
        (b"HTTP/1.1 20 OK\r\n\r\n", "a first line"),
        (b"HTTP/1.1 200 OK\r\nX : 1\r\n\r\n", "a header"),
        (b"HTTP/1.1 200 OK\r\n folded\r\n\r\n", "a header"),
        (b"HTTP/1.1 200 OK\r\nX: a\nY: b\r\n\r\n", "a header"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "no single Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "no single Content-Length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n", "no single Content-Length"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "a transfer coding"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n", "a chunk of size"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello!!", "a chunk without an end"),
        (b"HTTP/1.1 101 Switching\r\n\r\n", "switches protocols"),
        (b"HTTP/1.1 200 " + b"x" * 70_000, "a head of more than"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"0" * 2000, "an endless line"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, why: str) -> None:
    with pytest.raises(Malformed, match=why):
        Response(head_only=False).feed(data)


@pytest.mark.parametrize(
    ("data", "reusable"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: x, close\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\n", False),
    ],
)
def test_whether_the_connection_can_be_used_again(data: bytes, reusable: bool) -> None:
    response = Response(head_only=False)
    response.feed(data)
    assert (response.done, response.keep_alive) == (True, reusable)


def test_answer_to_head_has_a_length_and_no_body() -> None:
    response = Response(head_only=True)
    response.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")
    assert (response.done, response.headers) == (True, [(b"Content-Length", b"1234")])


def test_headers_of_one_connection_are_not_passed_on() -> None:
    headers = [
        (b"Connection", b"X-Secret , close"),
        (b"x-secret", b"1"),
        (b"Upgrade", b"h2c"),
        (b"TE", b"trailers"),
        (b"Set-Cookie", b"a"),
        (b"Set-Cookie", b"b"),
        (b"Expect", b"100-continue"),
    ]
    assert passed_on(headers, frozenset((b"expect",))) == [(b"Set-Cookie", b"a"), (b"Set-Cookie", b"b")]
    assert passed_on([(b"A", b"1")]) == [(b"A", b"1")]


def test_request_head() -> None:
    head = request_head("POST", "/ü?x", [(b"Host", b"h"), (b"A", b"\xff")])
    assert head == "POST /ü?x HTTP/1.1\r\nHost: h\r\nA: ".encode() + b"\xff\r\n\r\n"
