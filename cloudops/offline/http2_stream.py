"""One request on an HTTP/2 connection: what has come of its body, and what may be sent of its answer."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError

if TYPE_CHECKING:
    from .http2 import Http2

#: Bytes of a request's body that may come before the application reads them.
STREAM_WINDOW = 1 << 20
#: Bytes that the client has not taken, of all answers together, with which no more are added.
MOST_BACKLOG = 1 << 20
#: Bytes that are made into frames at once, while others wait.
_BURST = 1 << 18
#: A body that nobody wanted is let come up to this size.
_WORTH_DRAINING = 64 << 20


class Stream:
    """A request. Those methods that say so are called with the connection's lock, the others take it.

    Args:
        session: the connection.
        id: of the stream.
    """

    def __init__(self, session: Http2, id: int) -> None:
        self._session = session
        self.id = id
        #: Notified when there is more of the body, room for more of the answer, or nobody who wants it.
        self.changed = threading.Condition(session.lock)
        #: Whether the client has given up the call, or has gone.
        self.gone = False
        self._pending = bytearray()
        self._ended = self._unwanted = self._closed = False
        self._uncredited = self._thrown_away = 0

    def feed(self, data: bytes, padding: int) -> None:
        """A piece of the body has come; with the lock."""
        if self._unwanted:
            self._thrown_away += len(data)
            self._credit(len(data) + padding)
            if self._thrown_away > _WORTH_DRAINING:
                self._reset(ErrorCodes.NO_ERROR)
            return
        self._pending += data
        if padding:
            self._credit(padding)
        self.changed.notify_all()

    def end_of_body(self) -> None:
        """All of the body has come; with the lock."""
        self._ended = True
        self.changed.notify_all()
        if self._closed:
            self._session.forget(self)

    def give_up(self) -> None:
        """Nobody waits for the answer any more; with the lock."""
        self.gone = True
        self.changed.notify_all()

    def answered(self, *, whole: bool) -> None:
        """The application is through with the request; with the lock.

        Args:
            whole: whether the client got all of the answer; else it is told that something is wrong.
        """
        if self.gone:
            return
        self._closed = True
        if not whole:
            self._reset(ErrorCodes.INTERNAL_ERROR)
        elif self._ended:
            self._session.forget(self)
        else:  # the client is still sending what nobody reads
            self._unwanted = True
            self._thrown_away = len(self._pending)
            self._credit(len(self._pending))
            self._pending.clear()

    def read(self, most: int = -1) -> bytes:
        """What has come of the body, up to ``most`` bytes; waits for some, and is nothing at its end.

        Raises:
            ConnectionError: the client has given up.
        """
        with self._session.lock:
            while not (self._pending or self._ended or self.gone):
                self.changed.wait()
            if self.gone:
                raise ConnectionError("the client has given up in the midst of a request's body")
            size = len(self._pending) if most < 0 else most
            data = bytes(self._pending[:size])
            del self._pending[:size]
            self._credit(len(data))
            self._session.flush()
            return data

    def go_on(self) -> None:
        """Tell a client that waits before it sends the body. Raises ConnectionError where it has given up."""
        self.send_head([(":status", "100")])
        self.flush()

    def check(self) -> None:
        """Raises ConnectionError where the client has given up."""
        if self.gone:
            raise ConnectionError("the client has given up")

    def send_head(self, headers: Sequence[tuple[str, str]], *, last: bool = False) -> None:
        """Have headers or trailers go out with what comes next; ``last``: nothing does.

        Raises:
            ConnectionError: the client has given up.
        """
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        with self._session.lock:
            self.check()
            self._session.h2.send_headers(self.id, encoded, end_stream=last)

    def send(self, piece: bytes) -> None:
        """Have a piece of the body go out, as the client takes it: the last part with what comes next.

        Raises:
            ConnectionError: the client has given up.
        """
        left = memoryview(piece)
        h2 = self._session.h2
        while left:
            with self._session.lock:
                count = min(self._room(), len(left), _BURST)
                for start in range(0, count, h2.max_outbound_frame_size):
                    end = min(start + h2.max_outbound_frame_size, count)
                    h2.send_data(self.id, bytes(left[start:end]))
                left = left[count:]
                if left:
                    self._session.flush()

    def finish(self) -> None:
        """Say that this was all of the body. Raises ConnectionError where the client has given up."""
        with self._session.lock:
            self.check()
            self._session.h2.end_stream(self.id)

    def flush(self) -> None:
        """Send what was to go out with what comes next."""
        with self._session.lock:
            self._session.flush()

    def _room(self) -> int:
        """How many bytes can be sent; waits until it is one at least."""
        while True:
            self.check()
            room = self._session.h2.local_flow_control_window(self.id)
            if room > 0 and self._session.link.backlog < MOST_BACKLOG:
                return room
            self._session.flush()
            self._session.crowded = True
            self.changed.wait()

    def _credit(self, count: int) -> None:
        """Let the client send as many bytes more; not each time, for small pieces are many."""
        self._uncredited += count
        if self._uncredited >= STREAM_WINDOW // 4 and not self._ended:
            with contextlib.suppress(KeyError, ProtocolError):  # it has ended, which is the next event
                self._session.h2.increment_flow_control_window(self._uncredited, self.id)
            self._uncredited = 0

    def _reset(self, code: ErrorCodes) -> None:
        self._session.reset(self.id, code)
        self.gone = True
        self._session.forget(self)


class StreamBody(io.RawIOBase):
    """The body of a request as a file.

    Args:
        stream: the request.
        go_on: called before the first byte is read, where the client waits to be told (``Expect: 100-continue``).
    """

    def __init__(self, stream: Stream, go_on: Callable[[], None] | None = None) -> None:
        self._stream = stream
        self._go_on = go_on

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Fill ``buffer`` with what is there. Raises ConnectionError where the client has given up."""
        if not len(buffer):
            return 0
        self._tell()
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """The rest, in pieces as large as they come."""
        self._tell()
        return b"".join(iter(self._stream.read, b""))

    def _tell(self) -> None:
        if self._go_on is not None:
            go_on, self._go_on = self._go_on, None
            go_on()
