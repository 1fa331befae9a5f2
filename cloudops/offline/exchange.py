"""One request to a WSGI application, and its answer on the connection.

Werkzeug's development server ends the connection after each answer; clients of the clouds keep theirs open, and a
handshake for each request would cost more than the request.
"""

from __future__ import annotations

import io
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from email.message import Message
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment

    from .body import Body

#: Up to this size, an answer's head and the first piece of its body go out together.
_ONE_WRITE = 1 << 16


class Answer:
    """What an application answers, sent as it comes.

    Args:
        connection: of the client.
        body: of the request.
        method: of the request; the answer to HEAD has no body.
        persistent: whether the client would go on with this connection (HTTP/1.1, no ``Connection: close``).
        modern: whether it speaks HTTP/1.1, and so understands chunks.
    """

    def __init__(self, connection: socket.socket, body: Body, method: str, *, persistent: bool, modern: bool) -> None:
        self._connection = connection
        self._body = body
        self._method = method
        self._modern = modern
        self._head: tuple[str, Sequence[tuple[str, str]]] | None = None
        self._sent = self._chunked = self._bodiless = False
        #: Whether the connection can take another request.
        self.persistent = persistent

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        """WSGI's ``start_response``."""
        if self._sent and exc_info:
            raise exc_info[1].with_traceback(exc_info[2])
        self._head = (status, headers)
        return self._write

    def send(self, body: Iterable[bytes]) -> None:
        """Send all of ``body`` and close it."""
        try:
            if isinstance(body, list | tuple) and len(body) == 1:
                self._write(body[0], whole=True)
            else:
                for piece in body:
                    if piece:
                        self._write(piece)
            self._finish()
        finally:
            _close(body)

    @property
    def begun(self) -> bool:
        """Whether the client has seen some of it."""
        return self._sent

    def _finish(self) -> None:
        if not self._sent:
            self._write(b"", whole=True)
        if self._chunked:
            self._connection.sendall(b"0\r\n\r\n")

    def _write(self, piece: bytes, *, whole: bool = False) -> None:
        head = b"" if self._sent else self._begin(len(piece) if whole else None)
        if self._bodiless:
            piece = b""
        if self._chunked and piece:
            head, piece = head + b"%x\r\n" % len(piece), piece + b"\r\n"
        if len(piece) > _ONE_WRITE:
            self._connection.sendall(head)
            self._connection.sendall(piece)
        elif head or piece:
            self._connection.sendall(head + piece)

    def _begin(self, size: int | None) -> bytes:
        """The head; ``size`` is that of the whole body where it is known."""
        assert self._head is not None, "the application has sent a body before it has called start_response"
        self._sent = True
        status, headers = self._head
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers if _ours_to_say(name))]
        named = {name.lower() for name, _ in headers}
        code = int(status[:3])
        self._bodiless = self._method == "HEAD" or code in (204, 304) or code < 200
        if "content-length" not in named and not self._bodiless:
            lines += self._framing(size)
        self.persistent = self.persistent and self._body.worth_draining
        lines.append(f"Connection: {'keep-alive' if self.persistent else 'close'}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _framing(self, size: int | None) -> list[str]:
        """How the client learns where the body ends."""
        if size is not None:
            return [f"Content-Length: {size}"]
        if self._modern:
            self._chunked = True
            return ["Transfer-Encoding: chunked"]
        self.persistent = False  # it ends with the connection
        return []


def run(application: WSGIApplication, environ: WSGIEnvironment, answer: Answer) -> None:
    """Have ``application`` answer a request."""
    answer.send(application(environ, answer.start))


def swallow(application: WSGIApplication, environ: WSGIEnvironment) -> None:
    """Have ``application`` act on a request, and keep its answer from everybody."""
    body = application(environ, lambda status, headers, exc_info=None: lambda piece: None)
    try:
        for _ in body:
            pass
    finally:
        _close(body)


def plain(status: HTTPStatus, text: str) -> WSGIApplication:
    """An application that says one thing."""

    def application(environ: WSGIEnvironment, start: Any) -> list[bytes]:
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


def environment(method: str, target: str, headers: Message, *, scheme: str, authority: str) -> WSGIEnvironment:
    """What an application learns of a request, its body left out.

    Args:
        method: as sent.
        target: path and query as sent.
        headers: as sent.
        scheme: ``http`` or ``https``.
        authority: host, and port where it is not that of the scheme.
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
        "SERVER_PROTOCOL": "HTTP/1.1",
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


def attach_body(environ: WSGIEnvironment, body: Body) -> None:
    """Let the application read the request's body; it ends where the body ends."""
    environ["wsgi.input"] = io.BufferedReader(body, _ONE_WRITE)
    environ["wsgi.input_terminated"] = True


def _header_variables(headers: Message) -> Iterator[tuple[str, str]]:
    seen: dict[str, str] = {}
    for name, value in headers.items():
        if "_" in name:  # it could not be told from the one with a dash
            continue
        key = name.upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        value = value.replace("\r\n", "")
        seen[key] = f"{seen[key]},{value}" if key in seen else value
    yield from seen.items()


def _ours_to_say(name: str) -> bool:
    return name.lower() not in ("connection", "transfer-encoding", "keep-alive")


def _close(body: Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()
