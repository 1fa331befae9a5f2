"""A client's connection to the proxy, and its requests, one after the other; HTTP/2 has a module of its own."""

from __future__ import annotations

import contextlib
import hmac
import socket
import ssl
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import urlsplit

from . import choosing, exchange
from .body import Body
from .http1 import Http1Answer

if TYPE_CHECKING:
    from io import BufferedIOBase, BufferedReader
    from wsgiref.types import WSGIApplication, WSGIEnvironment

    from .proxy import Proxy

_TLS_HANDSHAKE = 0x16
#: How a client begins that speaks HTTP/2, whatever was agreed upon.
_HTTP2 = b"PRI * HTTP/2.0\r\n"


class Connection(BaseHTTPRequestHandler):
    """A client's connection: requests one after the other, behind TLS once it has asked for a host with CONNECT."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    rbufsize = 1 << 16

    def setup(self) -> None:
        """Nothing is known of the client yet."""
        super().setup()
        self.proxy = cast("Proxy", self.server)
        #: What it has asked for with CONNECT.
        self.tunnel: tuple[str, str, int] | None = None

    def finish(self) -> None:
        """Close the connection; behind TLS it is no longer the one that the server knows."""
        with contextlib.suppress(OSError):
            super().finish()
        self.connection.close()

    def handle_one_request(self) -> None:
        """Read a request and have it answered."""
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            self.close_connection = True
        elif self.raw_requestline == _HTTP2 and self.tunnel is not None:
            rest = self.rfile.read(8)  # of the preface; the client's settings are what follows
            self._go_on_with_http2(self.raw_requestline + rest + cast("BufferedReader", self.rfile).peek())
        elif len(self.raw_requestline) > 65536:
            self.requestline = self.request_version = self.command = ""
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
        elif self.parse_request():
            self._dispatch()

    def handle_expect_100(self) -> bool:
        """Whoever waits to be told to go on is told when the body is asked for."""
        return True

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: each emulator keeps its calls."""

    def _dispatch(self) -> None:
        target = self.requestline.split()[1]  # as sent: http.server takes slashes away
        if self.tunnel is not None:
            scheme, host, port = self.tunnel
            self._serve(scheme, host, port, target)
        elif self.command == "CONNECT" or not target.startswith("/"):
            self._proxied(target)
        else:
            self._answer(self.proxy.control, self._environ("http", f"127.0.0.1:{self.proxy.server_port}", target))

    def _proxied(self, target: str) -> None:
        given = self.headers.get("Proxy-Authorization", "")
        del self.headers["Proxy-Authorization"]
        if not hmac.compare_digest(given.encode("latin-1", "replace"), self.proxy.expected):
            self._answer(exchange.unknown_client, self._environ("http", "127.0.0.1", "/"))
        elif self.command == "CONNECT":
            self._connect(target)
        else:
            self._absolute(target)

    def _absolute(self, target: str) -> None:
        try:
            parts = urlsplit(target)
            scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
            port = parts.port or choosing.DEFAULT_PORTS.get(scheme, 0)
        except ValueError:
            self._refuse_request("the address cannot be read")
            return
        rest = target.split("://", 1)[1]
        start = min((index for mark in "/?" if (index := rest.find(mark)) >= 0), default=len(rest))
        path = rest[start:]
        self._serve(scheme, host, port, path if path.startswith("/") else f"/{path}")

    def _connect(self, target: str) -> None:
        host, _, port_text = target.rpartition(":")
        host = host.strip("[]").lower()
        if not host or not port_text.isdecimal():
            self._refuse_request("expected CONNECT HOST:PORT")
            return
        port = int(port_text)
        if self.proxy.emulators.find(host) is None:
            self._serve("https", host, port, "/")
            self.close_connection = True
            return
        self.connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self._enter(host, port)

    def _enter(self, host: str, port: int) -> None:
        """Go on behind the tunnel: TLS, or plain where the client begins with something else."""
        first = self.connection.recv(1, socket.MSG_PEEK)
        if not first:
            self.close_connection = True
            return
        self.close_connection = False
        if first[0] != _TLS_HANDSHAKE:
            self.tunnel = ("http", host, port)
            return
        self.rfile.close()
        try:
            wrapped = self.proxy.authority.context(host).wrap_socket(self.connection, server_side=True)
        except (OSError, ValueError):  # it does not trust us, or has gone
            self.close_connection = True
            return
        wrapped.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection = wrapped
        self.rfile = cast("BufferedReader", wrapped.makefile("rb", self.rbufsize))
        self.wfile = cast("BufferedIOBase", wrapped.makefile("wb", 0))
        self.tunnel = ("https", host, port)
        if wrapped.selected_alpn_protocol() == "h2":
            self._go_on_with_http2(b"")

    def _go_on_with_http2(self, received: bytes) -> None:
        """Speak HTTP/2 until the connection ends; ``received`` is what was read of it."""
        from .http2 import Http2

        assert self.tunnel is not None
        self.close_connection = True
        Http2(self.proxy, self.connection, self.tunnel).serve(received)

    def _serve(self, scheme: str, host: str, port: int, target: str) -> None:
        environ = self._environ(scheme, choosing.authority(scheme, host, port), target)
        chosen = choosing.choose(self.proxy, host, port, environ)
        if chosen.breaks is None:
            self._answer(chosen.application, environ, chosen.name)
            return
        choosing.suffer(self.proxy, chosen, environ, self._client_gone)
        self.close_connection = True
        choosing.break_at_close(self.connection)
        self.finish()

    def _client_gone(self) -> bool:
        try:
            self.connection.setblocking(False)
            return not self.connection.recv(1)
        except (BlockingIOError, ssl.SSLWantReadError):
            return False
        except OSError:
            return True
        finally:
            with contextlib.suppress(OSError):
                self.connection.setblocking(True)

    def _environ(self, scheme: str, authority: str, target: str) -> WSGIEnvironment:
        headers = self.headers.items()
        environ = exchange.environment(self.command, target, headers, scheme=scheme, authority=authority)
        self.body = self._body()
        exchange.attach_body(environ, self.body)
        return environ

    def _body(self) -> Body:
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
        length = self.headers.get("Content-Length", "0").strip()
        waits = self.headers.get("Expect", "").lower().strip() == "100-continue"
        if not chunked and not length.isdecimal():
            raise ConnectionError(f"the client sent Content-Length: {length[:40]!r}")
        if chunked or int(length):
            _acknowledge(self.connection)
        return Body(cast("BinaryIO", self.rfile), None if chunked else int(length), self._go_on if waits else None)

    def _go_on(self) -> None:
        self.connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _answer(self, application: WSGIApplication, environ: WSGIEnvironment, name: str = "control") -> None:
        modern = self.request_version >= "HTTP/1.1"
        answer = Http1Answer(
            self.connection, self.body, self.command, persistent=not self.close_connection, modern=modern
        )
        whole = exchange.attempt(application, environ, answer, name)
        if not whole or not answer.persistent or not self.body.drain():
            self.close_connection = True

    def _refuse_request(self, text: str) -> None:
        self.close_connection = True
        environ = self._environ("http", "127.0.0.1", "/")
        self._answer(exchange.plain(HTTPStatus.BAD_REQUEST, f"cloudops offline: {text}"), environ)


def _acknowledge(connection: socket.socket) -> None:
    """Acknowledge what has come at once, where the system can be told to (Linux).

    Otherwise it does so after 40 ms, and urllib3 sends a body only then: behind a proxy it sends it apart from the
    head, and leaves Nagle's algorithm on.
    """
    if hasattr(socket, "TCP_QUICKACK"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
