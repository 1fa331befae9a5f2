"""The body of a request, read from the connection as far as the emulator asks for it."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO

#: A body that nobody wanted is read and thrown away up to this size, so that the connection can be used on.
_WORTH_DRAINING = 64 << 20
_PIECE = 1 << 20


class Body(io.RawIOBase):
    """So many bytes of a connection, or its chunks.

    Args:
        source: the connection.
        length: bytes; None where the body comes in chunks.
        go_on: called before the first byte is read, where the client waits to be told (``Expect: 100-continue``).
    """

    def __init__(self, source: BinaryIO, length: int | None, go_on: Callable[[], None] | None = None) -> None:
        self._source = source
        self._chunked = length is None
        self._left = length or 0
        self._ended = length == 0
        self._go_on = go_on

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Fill ``buffer`` with what is there. Raises ConnectionError where the client ends in the midst of the body."""
        if self._ended or not len(buffer):
            return 0
        if self._go_on is not None:
            go_on, self._go_on = self._go_on, None
            go_on()
        if self._chunked and not self._left and not self._next_chunk():
            return 0
        view = memoryview(buffer)[: self._left]
        count: int = self._source.readinto1(view)  # type: ignore[attr-defined]
        if not count:
            raise ConnectionError("the client ended in the midst of a request's body")
        self._left -= count
        if not self._left:
            self._finish_piece()
        return count

    def readall(self) -> bytes:
        """The rest, in pieces as large as they come."""
        pieces, piece = [], bytearray(_PIECE if self._chunked else min(self._left, 16 * _PIECE))
        while filled := self._fill(memoryview(piece)):
            pieces.append(bytes(memoryview(piece)[:filled]))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    @property
    def worth_draining(self) -> bool:
        """Whether the rest, of which nobody wants to know, can be read so that the connection can be used on."""
        return self._ended or (self._go_on is None and self._left <= _WORTH_DRAINING)

    def drain(self) -> bool:
        """Throw away the rest; False where that is not worth it, and the connection has to end."""
        if not self.worth_draining:
            return False
        piece, read = memoryview(bytearray(_PIECE)), 0
        while count := self.readinto(piece):
            read += count
            if read > _WORTH_DRAINING:
                return False
        return True

    def _fill(self, view: memoryview) -> int:
        filled = 0
        while filled < len(view) and (count := self.readinto(view[filled:])):
            filled += count
        return filled

    def _next_chunk(self) -> bool:
        line = self._source.readline(1024)
        try:
            self._left = int(line.split(b";")[0].strip(), 16)
        except ValueError:
            raise ConnectionError(f"the client sent {line[:40]!r} where the size of a chunk was due") from None
        if self._left:
            return True
        while self._source.readline(65537) not in (b"\r\n", b"\n", b""):
            pass  # trailers
        self._ended = True
        return False

    def _finish_piece(self) -> None:
        if not self._chunked:
            self._ended = True
        elif self._source.readline(3) not in (b"\r\n", b"\n"):
            raise ConnectionError("the client's chunk is longer than it said")
