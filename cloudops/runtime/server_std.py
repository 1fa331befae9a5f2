"""The server that always works: the standard library's, one thread per connection, HTTP/1.1 with keep-alive."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from typing import Any, Optional, cast
from urllib.parse import unquote, urlsplit

from .app import App
from .errors import HttpError
from .messages import Request, Response

#: How much of a refused body is read and thrown away, in bytes, and for how long, in seconds: a client that is still
#: sending when the connection closes is told of a reset, not of the response.
LINGER_BYTES, LINGER_SECONDS = 32 * 2**20, 2.0
_IDLE_SECONDS = 75.0  # longer than load balancers keep idle connections, so that it is they who close them


class StdServer:
    """Serves ``app`` on a listening socket with at most ``app.settings.threads`` predictions at once."""

    name = "http.server"

    def __init__(self, app: App, listener: socket.socket) -> None:
        self._server = _Server(app, listener)

    def run(self) -> None:
        """Serve until :meth:`stop`."""
        self._server.serve_forever(poll_interval=0.05)
        self._server.server_close()

    def stop(self, *, force: bool) -> None:
        """Stop accepting; called from any thread but that of :meth:`run`. Connections end with the process."""
        self._server.shutdown()


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, app: App, listener: socket.socket) -> None:
        super().__init__(("127.0.0.1", 0), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.app = app
        self.slots = threading.BoundedSemaphore(app.settings.threads)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # the client went away
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 * 1024
    timeout = _IDLE_SECONDS

    def answer(self) -> None:
        app = self._app
        with app.lifecycle.request():
            try:
                body = self._body(app.settings.max_payload)
            except HttpError as error:
                self._refuse(app.too_large() if error.status == 413 else app.refuse(error.status, str(error)))
                return
            request = Request(self.command, self._path(), self._headers(), body)
            # Health checks do not wait for a slot.
            with self._slots if self.command == "POST" else contextlib.nullcontext():
                response = app.handle(request)
            self._send(response)

    def __getattr__(self, name: str) -> Any:
        """Every method is answered by the application: with 405 where it has no use for it, not with a 501 of ours."""
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    @property
    def _app(self) -> App:
        return cast(_Server, self.server).app

    @property
    def _slots(self) -> threading.BoundedSemaphore:
        return cast(_Server, self.server).slots

    def _path(self) -> str:
        return unquote(urlsplit(self.path).path if "://" in self.path else self.path.partition("?")[0]) or "/"

    def _headers(self) -> dict[str, str]:
        headers: dict[str, str] = {}
        for key, value in self.headers.items():
            name = key.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else str(value)
        return headers

    def _body(self, limit: int) -> bytes:
        """The request's body.

        Raises:
            HttpError: 413 when it is larger than ``limit`` bytes, 400 when its length or coding is no good.
        """
        length = self._length()
        if length is None:
            return self._chunks(limit)
        if length > limit:
            raise HttpError(413, "too large")
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionError("the client went away")
        return body

    def _length(self) -> Optional[int]:
        """The length that the headers give, None when the body comes in chunks."""
        codings, lengths = self.headers.get_all("transfer-encoding", []), self.headers.get_all("content-length", [])
        if codings:
            if lengths or [each.strip().lower() for each in codings] != ["chunked"]:
                raise HttpError(400, "the body must have a Content-Length, or be chunked, not both")
            return None
        if len(set(lengths)) > 1 or not all(each.isascii() and each.isdigit() for each in lengths):
            raise HttpError(400, f"Content-Length is {', '.join(lengths)!r}; expected a number of bytes")
        return int(lengths[0]) if lengths else 0

    def _chunks(self, limit: int) -> bytes:
        """A chunked body (RFC 9112, section 7.1)."""
        parts: list[bytes] = []
        total = 0
        while True:
            digits = self.rfile.readline(1024).partition(b";")[0].strip()
            try:
                size = int(digits, 16) if digits.isalnum() else -1
            except ValueError:
                size = -1
            if size < 0:
                raise HttpError(400, "the chunked body is damaged")
            if size == 0:
                break
            total += size
            if total > limit:
                raise HttpError(413, "too large")
            parts.append(self.rfile.read(size))
            self.rfile.readline(2)
        while self.rfile.readline(65536).strip():  # trailers
            pass
        return b"".join(parts)

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        for key, value in response.headers.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)
        self.wfile.flush()

    def _refuse(self, response: Response) -> None:
        """Answer without having read the body, which makes the connection useless."""
        response.headers["connection"] = "close"
        self._send(response)
        deadline = time.monotonic() + LINGER_SECONDS
        discarded = 0
        self.connection.settimeout(LINGER_SECONDS)
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            while discarded < LINGER_BYTES and time.monotonic() < deadline:
                data = self.rfile.read1(65536)
                if not data:
                    return
                discarded += len(data)

    def parse_request(self) -> bool:
        """Refuse what the base class takes for the end of the headers: a length or a coding may stand behind it."""
        if not super().parse_request():
            return False
        if self.headers.defects or self.headers.get_payload():
            self._refuse(self._app.refuse(400, "a header line has no colon, or a blank before it"))
            return False
        return True

    def handle_expect_100(self) -> bool:
        """Ask for the body only where it will be read."""
        length = self.headers.get("content-length", "0")
        if length.isdigit() and int(length) <= self._app.settings.max_payload:
            super().handle_expect_100()
            self.wfile.flush()
        return True

    def send_error(self, code: int, message: Optional[str] = None, explain: Optional[str] = None) -> None:
        """What the base class finds wrong with a request, in our form of an error."""
        self.command = getattr(self, "command", None) or "GET"
        self.request_version = self.protocol_version  # to what is no HTTP the base class would send no headers
        response = self._app.refuse(int(code), message or self.responses[code][0])
        response.headers["connection"] = "close"
        self._send(response)

    def version_string(self) -> str:
        return "cloudops"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests are counted, not logged."""
