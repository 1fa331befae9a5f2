"""One request to a WSGI application, and its answer, whatever the version of HTTP.

Werkzeug's development server ends the connection after each answer; clients of the clouds keep theirs open, and a
handshake for each request would cost more than the request.
"""

from __future__ import annotations

import io
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment

_BUFFER = 1 << 16
#: Headers that are the connection's, not the answer's.
_CONNECTIONS = frozenset({"connection", "transfer-encoding", "keep-alive", "proxy-connection", "upgrade"})
#: What gRPC says where HTTP has a status; https://github.com/grpc/grpc/blob/master/doc/statuscodes.md
_GRPC_INTERNAL, _GRPC_DENIED = "13", "7"
#: Of a message's characters, those that are sent as they are: printable ASCII but the percent sign.
_GRPC_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if code != ord("%"))


class Answer(ABC):
    """What an application answers, sent as it comes.

    Args:
        method: of the request; the answer to HEAD has no body.
    """

    def __init__(self, method: str) -> None:
        self._method = method
        self._head: tuple[str, Sequence[tuple[str, str]]] | None = None
        #: Whether the client has seen some of it.
        self.begun = False

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        """WSGI's ``start_response``."""
        if self.begun and exc_info:
            raise exc_info[1].with_traceback(exc_info[2])
        self._head = (status, headers)
        return self._write

    def send(self, body: Iterable[bytes]) -> None:
        """Send all of ``body`` and close it. Raises ConnectionError where the client has gone."""
        try:
            if isinstance(body, list | tuple) and len(body) == 1:
                self._write(body[0], whole=True)
            else:
                for piece in body:
                    if piece:
                        self._write(piece)
                    else:
                        self._look()
            self._finish()
        finally:
            _close(body)

    @abstractmethod
    def _write(self, piece: bytes, *, whole: bool = False) -> None:
        """Send a piece, and before the first one the head; ``whole``: it is all of the body."""

    @abstractmethod
    def _finish(self) -> None:
        """Tell the client that this was all."""

    def _look(self) -> None:  # noqa: B027 - HTTP/1.1 has no way to know it
        """Raise ConnectionError where it is known that the client has gone; an application waits, and has us look."""

    def _begin(self) -> tuple[str, list[tuple[str, str]], bool]:
        """Status, headers without those of the connection, and whether the answer has a body."""
        assert self._head is not None, "the application has sent a body before it has called start_response"
        status, headers = self._head
        code = int(status[:3])
        bodiless = self._method == "HEAD" or code in (204, 304) or code < 200
        return status, [(name, value) for name, value in headers if name.lower() not in _CONNECTIONS], not bodiless


def run(application: WSGIApplication, environ: WSGIEnvironment, answer: Answer) -> None:
    """Have ``application`` answer a request."""
    answer.send(application(environ, answer.start))


def attempt(application: WSGIApplication, environ: WSGIEnvironment, answer: Answer, name: str) -> bool:
    """Have ``application`` answer; where it fails, the answer says why.

    Args:
        application: of the cloud.
        environ: the request.
        answer: gets the answer.
        name: of the cloud, for the reason.

    Returns:
        Whether the client got a whole answer.
    """
    try:
        run(application, environ, answer)
    except ConnectionError:
        return False
    except Exception as error:
        traceback.print_exc()
        if answer.begun:
            return False
        text = f"cloudops offline: {name} failed: {type(error).__name__}: {' '.join(str(error).split())}"
        run(plain(HTTPStatus.INTERNAL_SERVER_ERROR, text), environ, answer)
    return True


def swallow(application: WSGIApplication, environ: WSGIEnvironment) -> None:
    """Have ``application`` act on a request, and keep its answer from everybody."""
    body = application(environ, lambda status, headers, exc_info=None: lambda piece: None)
    try:
        for _ in body:
            pass
    finally:
        _close(body)


def plain(status: HTTPStatus, text: str) -> WSGIApplication:
    """An application that says one thing, in gRPC's way to who speaks gRPC."""

    def application(environ: WSGIEnvironment, start: Any) -> list[bytes]:
        if environ.get("CONTENT_TYPE", "").startswith("application/grpc"):
            # An answer of trailers alone; a status of HTTP would reach the client without its text.
            code = _GRPC_DENIED if status is HTTPStatus.FORBIDDEN else _GRPC_INTERNAL
            headers = [("Content-Type", "application/grpc"), ("Grpc-Status", code)]
            start("200 OK", [*headers, ("Grpc-Message", quote(text, safe=_GRPC_PLAIN))])
            return []
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("X-Cloudops-Offline", "refused")]
        start(f"{status.value} {status.phrase}", headers)
        return [f"{text}\n".encode()]

    return application


def unknown_client(environ: WSGIEnvironment, start: Any) -> list[bytes]:
    """An application that tells who shows no password that this proxy is somebody's."""
    status = HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
    headers = [("Content-Type", "text/plain"), ("Proxy-Authenticate", 'Basic realm="cloudops offline"')]
    start(f"{status.value} {status.phrase}", headers)
    return [b"cloudops offline: this proxy is for the processes that were led to it; see `cloudops offline env`\n"]


def environment(
    method: str,
    target: str,
    headers: Iterable[tuple[str, str]],
    *,
    scheme: str,
    authority: str,
    protocol: str = "HTTP/1.1",
) -> WSGIEnvironment:
    """What an application learns of a request, its body left out.

    Args:
        method: as sent.
        target: path and query as sent.
        headers: as sent.
        scheme: ``http`` or ``https``.
        authority: host, and port where it is not that of the scheme.
        protocol: ``HTTP/1.1`` or ``HTTP/2``.
    """
    path, _, query = target.partition("?")
    host, _, port = authority.partition(":")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "REQUEST_URI": target,
        "RAW_URI": target,
        "SERVER_NAME": host,
        "SERVER_PORT": port or ("443" if scheme == "https" else "80"),
        "SERVER_PROTOCOL": protocol,
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scheme,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    environ.update(_header_variables(headers))
    environ["HTTP_HOST"] = authority
    return environ


def attach_body(environ: WSGIEnvironment, body: io.RawIOBase) -> None:
    """Let the application read the request's body; it ends where the body ends."""
    environ["wsgi.input"] = io.BufferedReader(body, _BUFFER)
    environ["wsgi.input_terminated"] = True


def _header_variables(headers: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    seen: dict[str, str] = {}
    for name, value in headers:
        if "_" in name:  # it could not be told from the one with a dash
            continue
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        value = value.replace("\r\n", "")
        between = "; " if key == "HTTP_COOKIE" else ","  # HTTP/2 has a header for each cookie
        seen[key] = f"{seen[key]}{between}{value}" if key in seen else value
    yield from seen.items()


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()
