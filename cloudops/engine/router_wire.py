"""HTTP/1.1 as a replica speaks it: requests written, responses read. Pure bytes, no connections.

After RFC 9112: framing in section 6, chunks in 7.1. Only what replicas send is read here, so what is not plainly
right is refused; what clients send is read by aiohttp's parser.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

# RFC 9110, 7.6.1: what belongs to one connection; a Connection header may name more.
HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    b"upgrade".split()
)
_HEAD_LIMIT = 64 * 1024
_LINE_LIMIT = 1024

RawHeaders = Iterable[tuple[bytes, bytes]]


class Malformed(ValueError):
    """The replica does not speak HTTP/1.1."""


def passed_on(headers: RawHeaders, dropped: frozenset[bytes] = frozenset()) -> list[tuple[bytes, bytes]]:
    """Headers without those that concern one connection, and without ``dropped`` (lower-case names)."""
    found = [(name, value) for name, value in headers if (low := name.lower()) not in HOP_BY_HOP and low not in dropped]
    named = [value for name, value in headers if name.lower() == b"connection"]
    if not named:
        return found
    more = {token.strip().lower() for value in named for token in value.split(b",")}
    return [(name, value) for name, value in found if name.lower() not in more]


def request_head(method: str, target: str, headers: RawHeaders) -> bytes:
    """The first lines of a request, up to its body."""
    lines = [f"{method} {target} HTTP/1.1".encode("utf-8", "surrogateescape")]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


class Response:
    """Reads one response from what arrives, in whatever pieces.

    ``status`` is 0 until the head is complete. Body data (decoded) gathers in ``parts`` until somebody takes it;
    ``size`` is how much of it waits. ``length`` is what the head says of the body's length (None: it does not).
    """

    def __init__(self, *, head_only: bool) -> None:
        self.status = 0
        self.reason = ""
        self.headers: list[tuple[bytes, bytes]] = []
        self.length: int | None = None
        self.keep_alive = True
        self.done = False
        self.parts: list[bytes] = []
        self.size = 0
        self._head_only = head_only
        self._rest = b""
        self._left = 0
        self._step: Callable[[], bool] = self._head

    def feed(self, data: bytes) -> None:
        """Take what arrived.

        Raises:
            Malformed: it is not a response.
        """
        self._rest = self._rest + data if self._rest else data
        while not self.done and self._step():
            pass
        if self.done and self._rest:
            # Nobody asked for more: the connection cannot be trusted with another request.
            self.keep_alive = False

    def end(self) -> bool:
        """The replica has closed the connection; whether the response is complete with that."""
        if self._step == self._until_closed:
            self.done = True
        self.keep_alive = False
        return self.done

    def take(self) -> bytes:
        """The body data that waits."""
        data = b"".join(self.parts) if len(self.parts) != 1 else self.parts[0]
        self.parts, self.size = [], 0
        return data

    def _head(self) -> bool:
        end = self._rest.find(b"\r\n\r\n")
        if end < 0:
            if len(self._rest) > _HEAD_LIMIT:
                raise Malformed(f"a head of more than {_HEAD_LIMIT} bytes")
            return False
        first, *lines = self._rest[:end].split(b"\r\n")
        self._rest = self._rest[end + 4 :]
        version, status, reason = _status_line(first)
        headers = [_header(line) for line in lines]
        if 100 <= status < 200:
            if status == 101:
                raise Malformed("it switches protocols unasked")
            return True
        self._frame(version, status, headers)
        self.status, self.reason, self.headers = status, reason, headers
        return True

    def _frame(self, version: bytes, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        lengths, codings, options = set(), b"", b""
        for name, value in headers:
            low = name.lower()
            if low == b"content-length":
                lengths.add(value)
            elif low == b"transfer-encoding":
                codings += value.lower()
            elif low == b"connection":
                options += value.lower() + b","
        self.keep_alive = b"keep-alive" in options if version == b"HTTP/1.0" else b"close" not in options
        if self._head_only or status in (204, 304):
            self.done, self.length = True, 0
        elif codings:
            if codings != b"chunked":
                raise Malformed(f"a transfer coding {codings[:40]!r}")
            self._step = self._chunk_size
        elif lengths:
            if len(lengths) > 1 or not (length := lengths.pop()).isdigit():
                raise Malformed("no single Content-Length")
            self.length = self._left = int(length)
            self._step = self._counted
            self.done = self._left == 0
        else:
            self._step, self.keep_alive = self._until_closed, False

    def _counted(self) -> bool:
        self._keep(min(len(self._rest), self._left))
        self.done = self._left == 0
        return False

    def _until_closed(self) -> bool:
        self._left = len(self._rest)
        self._keep(self._left)
        return False

    def _chunk_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        size = line.partition(b";")[0].strip()
        if not size or size.strip(b"0123456789abcdefABCDEF"):
            raise Malformed(f"a chunk of size {size[:40]!r}")
        self._left = int(size, 16)
        self._step = self._chunk if self._left else self._trailer
        return True

    def _chunk(self) -> bool:
        self._keep(min(len(self._rest), self._left))
        if self._left:
            return False
        self._step = self._chunk_end
        return True

    def _chunk_end(self) -> bool:
        if len(self._rest) < 2:
            return False
        if self._rest[:2] != b"\r\n":
            raise Malformed("a chunk without an end")
        self._rest = self._rest[2:]
        self._step = self._chunk_size
        return True

    def _trailer(self) -> bool:
        line = self._line()
        self.done = line == b""
        return bool(line)

    def _line(self) -> bytes | None:
        end = self._rest.find(b"\r\n")
        if end < 0:
            if len(self._rest) > _LINE_LIMIT:
                raise Malformed("an endless line")
            return None
        line, self._rest = self._rest[:end], self._rest[end + 2 :]
        return line

    def _keep(self, count: int) -> None:
        if count:
            self.parts.append(self._rest[:count])
            self.size += count
            self._rest = self._rest[count:]
            self._left -= count


def _status_line(line: bytes) -> tuple[bytes, int, str]:
    version, _, rest = line.partition(b" ")
    status, _, reason = rest.partition(b" ")
    if version not in (b"HTTP/1.1", b"HTTP/1.0") or len(status) != 3 or not status.isdigit() or status < b"100":
        raise Malformed(f"a first line {line[:80]!r}")
    return version, int(status), reason.decode("latin-1").replace("\n", " ").replace("\r", " ")


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not name or name.strip(b" \t") != name or b"\n" in line or b"\r" in line or b"\0" in line:
        raise Malformed(f"a header {line[:80]!r}")
    return name, value.strip(b" \t")
