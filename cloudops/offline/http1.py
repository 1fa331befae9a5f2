"""An application's answer as HTTP/1.1 frames it."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from .exchange import Answer

if TYPE_CHECKING:
    from .body import Body

#: Up to this size, an answer's head and the first piece of its body go out together.
_ONE_WRITE = 1 << 16


class Http1Answer(Answer):
    """An answer on a connection that carries one after the other.

    Args:
        connection: of the client.
        body: of the request.
        method: of the request.
        persistent: whether the client would go on with this connection (HTTP/1.1, no ``Connection: close``).
        modern: whether it speaks HTTP/1.1, and so understands chunks.
    """

    def __init__(self, connection: socket.socket, body: Body, method: str, *, persistent: bool, modern: bool) -> None:
        super().__init__(method)
        self._connection = connection
        self._body = body
        self._modern = modern
        self._chunked = self._bodiless = False
        #: Whether the connection can take another request.
        self.persistent = persistent

    def _finish(self) -> None:
        if not self.begun:
            self._write(b"", whole=True)
        if self._chunked:
            self._connection.sendall(b"0\r\n\r\n")

    def _write(self, piece: bytes, *, whole: bool = False) -> None:
        head = b"" if self.begun else self._start(len(piece) if whole else None)
        if self._bodiless:
            piece = b""
        if self._chunked and piece:
            head, piece = head + b"%x\r\n" % len(piece), piece + b"\r\n"
        if len(piece) > _ONE_WRITE:
            self._connection.sendall(head)
            self._connection.sendall(piece)
        elif head or piece:
            self._connection.sendall(head + piece)

    def _start(self, size: int | None) -> bytes:
        """The head; ``size`` is that of the whole body where it is known."""
        status, headers, has_body = self._begin()
        self.begun, self._bodiless = True, not has_body
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
        if has_body and not any(name.lower() == "content-length" for name, _ in headers):
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
