"""Connections to replicas: kept open between requests, one request at a time on each.

Half of a router's time would go into a general HTTP client; a replica on this machine needs no names resolved, no
proxies, cookies, redirects or TLS, so this one is small instead.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import cast

from .router_wire import Malformed, RawHeaders, Response, request_head

#: Seconds that an unused connection is kept: less than servers do, who would close it under a request.
_IDLE = 3.0
_CONNECT_TIMEOUT = 5.0
#: Bytes of an answer that may wait for a slow client before the replica has to wait too.
_BUFFER = 256 * 1024
#: Bytes of a body that are written at once; more goes in pieces, so that an answer that comes early is read.
_PIECE = 1 << 20

Body = bytes | AsyncIterator[bytes]


class Unsent(Exception):
    """The replica refused the connection: it has seen nothing of the request."""


class Broken(Exception):
    """The replica went away, or answered nonsense, while it had the request."""


class BadUpload(Exception):
    """The client's body could not be read to its end."""


class Pool:
    """The open connections to replicas by port."""

    def __init__(self) -> None:
        self._idle: dict[int, list[Connection]] = {}

    async def acquire(self, port: int) -> Connection:
        """A connection that is free.

        Raises:
            Unsent: the replica takes none.
        """
        free = self._idle.get(port, ())
        while free:
            connection = free.pop()
            if connection.usable:
                return connection
            connection.close()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT):
                _, connection = await loop.create_connection(lambda: Connection(loop), "127.0.0.1", port)
        except OSError as error:
            raise Unsent(str(error)) from error
        return connection

    def release(self, port: int, connection: Connection) -> None:
        """Give a connection back; one that cannot be used again is closed."""
        if connection.park():
            self._idle.setdefault(port, []).append(connection)
        else:
            connection.close()

    def keep(self, ports: Collection[int]) -> None:
        """Close what is unused for long, or leads to other ports: a replica that drains waits for its connections."""
        for port in list(self._idle):
            kept = [one for one in self._idle[port] if port in ports and one.usable]
            for connection in self._idle[port]:
                if connection not in kept:
                    connection.close()
            self._idle[port] = kept
            if not kept:
                del self._idle[port]


class Connection(asyncio.Protocol):
    """One connection. Between requests it is parked, and anything that arrives then closes it."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._response: Response | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._whole = 0
        self._upload: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._problem: Exception | None = None
        self._idle_since = 0.0

    @property
    def usable(self) -> bool:
        """Whether a parked connection may carry another request."""
        return self._problem is None and self._loop.time() - self._idle_since < _IDLE

    async def request(
        self, method: str, target: str, headers: RawHeaders, body: Body, *, chunked: bool, timeout: float, whole: int
    ) -> Response:
        """Send a request; returns with the head of the answer, and its body if that has ``whole`` bytes or less.

        ``timeout`` is how many seconds the replica may stay silent.

        Raises:
            Broken: no answer came.
            BadUpload: the body could not be read.
            TimeoutError: none came in time.
        """
        response = self._response = Response(head_only=method == "HEAD")
        self._whole = whole
        head = request_head(method, target, headers)
        if isinstance(body, bytes) and len(body) <= _PIECE:
            self._write(head + body)
        else:
            self._write(head)
            parts = _pieces(body) if isinstance(body, bytes) else body
            self._upload = asyncio.create_task(self._send(parts, chunked=chunked))
        while not self._arrived(response):
            await self._wait(timeout)
        return response

    async def rest(self, timeout: float) -> AsyncIterator[bytes]:
        """The body of the answer as it comes.

        Raises:
            Broken: it broke off.
            TimeoutError: the replica stayed silent for too long.
        """
        response = self._response
        assert response is not None
        while True:
            if response.size:
                yield response.take()
                self._resume()
            if response.done and not response.size:
                return
            if not response.size:
                await self._wait(timeout)

    def park(self) -> bool:
        """End the exchange; False where the connection cannot be used for another one."""
        response, self._response = self._response, None
        sent = self._upload is None or self._upload.done()
        if self._upload is not None and not sent:
            self._upload.cancel()
        self._upload = None
        self._idle_since = self._loop.time()
        return sent and self._problem is None and response is not None and response.done and response.keep_alive

    def close(self) -> None:
        """Close it at once."""
        self._problem = self._problem or Broken("closed")
        if self._upload is not None:
            self._upload.cancel()
        if self._transport is not None:
            self._transport.abort()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        # uvloop's transports are asyncio's in all but their class.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        response = self._response
        if response is None:
            self.close()
            return
        try:
            response.feed(data)
        except Malformed as error:
            self._fail(Broken(f"not HTTP: {error}"))
            self.close()
            return
        if response.size > max(_BUFFER, self._whole) and self._transport is not None:
            self._transport.pause_reading()
        if self._arrived(response):
            self._wake()

    def eof_received(self) -> None:
        """Called by asyncio."""
        if self._response is not None and self._response.end():
            self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        self._writable.set()
        done = self._response is not None and self._response.end()
        self._fail(Broken(str(exc or "closed")))
        if done:
            self._wake()

    def pause_writing(self) -> None:
        """Called by asyncio."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """Called by asyncio."""
        self._writable.set()

    def _arrived(self, response: Response) -> bool:
        """Whether there is something to go on with: all of a small answer, any more of another."""
        if response.done:
            return True
        small = response.length is not None and response.length <= self._whole
        return bool(response.status) and not small

    async def _wait(self, timeout: float) -> None:
        """Until more of the answer is there."""
        if self._problem is not None:
            raise self._problem
        self._waiter = self._loop.create_future()
        timer = self._loop.call_later(timeout, self._expire)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    def _expire(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(TimeoutError())

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, problem: Exception) -> None:
        self._problem = self._problem or problem
        done = self._response is not None and self._response.done
        if not done and self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._problem)

    def _resume(self) -> None:
        if self._transport is not None and self._problem is None:
            self._transport.resume_reading()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and self._problem is None:
            self._transport.write(data)

    async def _send(self, body: AsyncIterator[bytes], *, chunked: bool) -> None:
        try:
            async for part in body:
                # An answer that has come already (413, say) is read before the next write can fail and hide it.
                await asyncio.sleep(0)
                self._write(b"%x\r\n%s\r\n" % (len(part), part) if chunked else part)
                await self._writable.wait()
            if chunked:
                self._write(b"0\r\n\r\n")
        except Exception as error:
            self._fail(BadUpload(str(error)))
            self.close()


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]
