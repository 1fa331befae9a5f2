"""What came over HTTP, as the handlers need it."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import parse_qsl, quote

from .digests import PIECE
from .errors import Invalid, NotEmulated, StorageError
from .routes import Route, find

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

#: The largest body that is not an object's bytes.
_LARGEST = 10 << 20
#: Headers and parameters with which a client asks for what only the real service does.
_REFUSED_HEADERS = {
    "x-goog-encryption-algorithm": "encryption keys that clients supply",
    "x-goog-copy-source-encryption-algorithm": "encryption keys that clients supply",
    "x-goog-encryption-kms-key-name": "customer-managed encryption keys",
    "x-goog-acl": "access control lists; use uniform bucket-level access",
    "x-goog-object-lock-mode": "retention",
}
_REFUSED_PARAMETERS = {
    "kmsKeyName": "customer-managed encryption keys",
    "destinationKmsKeyName": "customer-managed encryption keys",
    "predefinedAcl": "access control lists; use uniform bucket-level access",
    "predefinedDefaultObjectAcl": "access control lists; use uniform bucket-level access",
    "destinationPredefinedAcl": "access control lists; use uniform bucket-level access",
}


class Request:
    """One of them.

    Args:
        environ: as WSGI has it; of its body nothing is read that is not asked for.
    """

    def __init__(self, environ: WSGIEnvironment) -> None:
        self.environ = environ
        self.method = str(environ["REQUEST_METHOD"]).upper()
        self.host = str(environ.get("HTTP_HOST", "")).lower()
        self.path = _raw_path(environ)
        self.query = dict(parse_qsl(str(environ.get("QUERY_STRING", "")), keep_blank_values=True))

    @functools.cached_property
    def headers(self) -> Mapping[str, str]:
        """By lower-case name."""
        found = {
            key[5:].lower().replace("_", "-"): value for key, value in self.environ.items() if key.startswith("HTTP_")
        }
        for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if self.environ.get(key):
                found[key.lower().replace("_", "-")] = self.environ[key]
        return cast("Mapping[str, str]", found)

    @functools.cached_property
    def route(self) -> Route:
        """What the request is about."""
        return find(self.method, self.host.partition(":")[0], self.path, self.query, self.headers)

    @property
    def base(self) -> str:
        """Scheme and host, for links that the client follows."""
        return f"{self.environ['wsgi.url_scheme']}://{self.host}"

    @property
    def generation(self) -> int | None:
        """The generation that the request is about; None for the one that is there."""
        return self.number("generation")

    def number(self, name: str) -> int | None:
        """The value of a parameter that is a number; None where it is not there."""
        value = self.query.get(name)
        if value is None:
            return None
        if not value.isdecimal():
            raise Invalid(f"Invalid value '{value}' for {name}.", name)
        return int(value)

    @property
    def stream(self) -> BinaryIO:
        """The body."""
        return body_of(self.environ)

    def text(self) -> bytes:
        """The whole body, which is no object's.

        Raises:
            StorageError: it is too large.
        """
        body = self.stream.read(_LARGEST + 1)
        if len(body) > _LARGEST:
            raise StorageError("Request payload size exceeds the limit", status=413, reason="uploadTooLarge")
        return body

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty for no body. Raises Invalid."""
        return parse_json(self.text())

    def check_supported(self) -> None:
        """Raise :class:`NotEmulated` where a header or parameter asks for what is not emulated."""
        for names, given in ((_REFUSED_HEADERS, self.headers), (_REFUSED_PARAMETERS, self.query)):
            for name, what in names.items():
                if given.get(name):
                    raise NotEmulated(what)


def parse_json(body: bytes) -> dict[str, Any]:
    """A JSON object; an empty one for no bytes. Raises Invalid."""
    try:
        value = json.loads(body) if body.strip() else {}
    except ValueError:
        raise StorageError("Parse Error", reason="parseError") from None
    if not isinstance(value, dict):
        raise StorageError("Parse Error", reason="parseError")
    return value


def body_of(environ: WSGIEnvironment) -> BinaryIO:
    """The body of a request; it ends where the body ends."""
    stream = environ["wsgi.input"]
    if environ.get("wsgi.input_terminated"):
        return cast("BinaryIO", stream)
    if not isinstance(stream, Limited):
        environ["wsgi.input"] = stream = Limited(stream, int(environ.get("CONTENT_LENGTH") or 0))
    return cast("BinaryIO", stream)


class Limited(io.RawIOBase):
    """So many bytes of a stream, after others that were read of it before.

    Args:
        source: the stream.
        size: how many bytes of it are left; None where it ends by itself.
        head: what comes before them.
    """

    def __init__(self, source: BinaryIO, size: int | None, head: bytes = b"") -> None:
        self._source, self._head = source, head
        #: How many bytes are still to come.
        self.left = size

    def readable(self) -> bool:
        """It is."""
        return True

    def read(self, size: int = -1, /) -> bytes:
        """The next ``size`` bytes, fewer only at the end; all that is left where it is negative.

        Raises:
            ConnectionError: the client has ended in the midst of the body.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(PIECE), b""))
        head, self._head = self._head[:size], self._head[size:]
        wanted = size - len(head) if self.left is None else min(size - len(head), self.left)
        rest = self._source.read(wanted) if wanted else b""
        if wanted and not rest and not head and self.left is not None:
            raise ConnectionError("the client ended in the midst of a request's body")
        self.left = None if self.left is None else self.left - len(rest)
        return head + rest if head else rest


def peek(environ: WSGIEnvironment, size: int) -> bytes:
    """The first bytes of the body, which are put back."""
    stream = body_of(environ)
    head = stream.read(size)
    environ["wsgi.input"] = Limited(stream, stream.left if isinstance(stream, Limited) else None, head)
    return head


def _raw_path(environ: WSGIEnvironment) -> str:
    """The path as the client has sent it: a slash within a name is not one between names."""
    target = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "")
    if not target:
        return quote(str(environ.get("PATH_INFO", "/")).encode("latin-1"))
    if not target.startswith("/"):  # a proxy's form
        target = "/" + target.partition("://")[2].partition("/")[2]
    return target.partition("?")[0].partition("#")[0]
