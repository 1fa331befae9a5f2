"""An application's answer as HTTP/2 frames it, with what comes after the body."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from .exchange import Answer

if TYPE_CHECKING:
    from .http2_stream import Stream


class Http2Answer(Answer):
    """An answer on a stream of its own.

    Args:
        stream: of the request.
        method: of the request.
    """

    def __init__(self, stream: Stream, method: str) -> None:
        super().__init__(method)
        self._stream = stream
        self._has_body = True
        self._trailers: list[tuple[str, str]] | None = None

    def start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        """WSGI's ``start_response``; an answer that takes the place of another one has trailers of its own."""
        self._trailers = None
        return super().start(status, headers, exc_info)

    def trailers(self, trailers: Sequence[tuple[str, str]]) -> None:
        """Say what the client is told after the body: ``cloudops.trailers``.

        It is called once, after ``start_response`` and before the iterable ends.

        Raises:
            RuntimeError: it was called before.
        """
        if self._trailers is not None:
            raise RuntimeError("cloudops.trailers has been called twice")
        self._trailers = [(name.lower(), value) for name, value in trailers]

    def _look(self) -> None:
        self._stream.check()

    def _write(self, piece: bytes, *, whole: bool = False) -> None:
        if not self.begun:
            self._send_head(len(piece) if whole else None)
        if self._has_body:
            self._stream.send(piece)
        if not whole:  # else the end goes out with it
            self._stream.flush()

    def _finish(self) -> None:
        if not self.begun:
            self._send_head(0, alone=not self._trailers)
        elif not self._trailers:
            self._stream.finish()
        if self._trailers:
            self._stream.send_head(self._trailers, last=True)
        self._stream.flush()

    def _send_head(self, size: int | None, *, alone: bool = False) -> None:
        """Send status and headers; ``size`` is that of the whole body where it is known, ``alone``: nothing follows."""
        status, headers, self._has_body = self._begin()
        lines = [(":status", status[:3]), *((name.lower(), value) for name, value in headers)]
        if size and self._has_body and not self._trailers and all(name != "content-length" for name, _ in lines):
            lines.append(("content-length", str(size)))
        self._stream.send_head(lines, last=alone)
        self.begun = True
