"""The socket of an HTTP/2 connection, which nobody waits for but the thread that reads."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
from collections import deque

_PIECE = 1 << 18
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Link:
    """A socket that is made non-blocking, and what is still to be sent on it.

    All methods but :meth:`wait` are called with the connection's lock: OpenSSL's connections are nobody's who reads
    while another one writes.

    Args:
        connection: plain, or of TLS after its handshake.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._pieces: deque[bytes | memoryview] = deque()
        #: Bytes that the client has not taken yet.
        self.backlog = 0
        self._wakes, self._waker = socket.socketpair()
        self._wakes.setblocking(False)
        self._waker.setblocking(False)
        self._closed = False
        self._poll = select.poll()
        self._poll.register(self._wakes, select.POLLIN)

    def wait(self) -> None:
        """Wait until there is something to read, the client takes more of what waits, or :meth:`wake` is called."""
        self._poll.register(self._connection, select.POLLIN | (select.POLLOUT if self.backlog else 0))
        for descriptor, _ in self._poll.poll():
            if descriptor == self._wakes.fileno():
                self._wakes.recv(4096)

    def wake(self) -> None:
        """Have :meth:`wait` return."""
        if not self._closed:
            with contextlib.suppress(BlockingIOError):  # it is full of them
                self._waker.send(b".")

    def read(self) -> bytes | None:
        """What has come; None for nothing now, nothing for the end. Raises ConnectionError where it is broken."""
        try:
            return self._connection.recv(_PIECE)
        except _NOT_NOW:
            return None
        except OSError as error:
            raise ConnectionError(f"the client has gone: {error}") from error

    def write(self, data: bytes) -> None:
        """Send ``data`` once all that waits has been sent. Raises ConnectionError where the client has gone."""
        if self._closed:
            return
        self._pieces.append(data)
        self.backlog += len(data)
        if self.flush():
            self.wake()  # it waits for room from now on

    def flush(self) -> int:
        """Send what can be sent now; returns the bytes that are left. Raises ConnectionError where it is broken."""
        while self._pieces:
            piece = self._pieces[0]
            try:
                count = self._connection.send(piece)
            except _NOT_NOW:
                break
            except OSError as error:
                raise ConnectionError(f"the client has gone: {error}") from error
            self.backlog -= count
            if count == len(piece):
                self._pieces.popleft()
            else:  # TLS insists on being asked for the same bytes again
                self._pieces[0] = memoryview(piece)[count:]
        return self.backlog

    def close(self) -> None:
        """Forget what waits. The socket itself stays open."""
        self._closed = True
        self._pieces.clear()
        self._wakes.close()
        self._waker.close()
