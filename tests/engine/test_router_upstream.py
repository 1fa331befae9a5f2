"""Connections to replicas, against a server that the test scripts byte by byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from cloudops.engine.router_upstream import BadUpload, Body, Broken, Connection, Pool, Unsent
from cloudops.engine.router_wire import Response

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Replica:
    """A server whose every connection follows `script`."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.connections = 0
        self.port = 0

    async def __aenter__(self) -> Replica:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.script(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


async def _ask(connection: Connection, body: Body = b"", *, whole: int = 1000, timeout: float = 5.0) -> Response:
    headers = [(b"Content-Length", b"%d" % len(body))] if isinstance(body, bytes) else []
    streamed = not isinstance(body, bytes)
    return await connection.request("POST", "/", headers, body, chunked=streamed, timeout=timeout, whole=whole)


async def _polite(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.readuntil(b"\r\n\r\n"):
        writer.write(OK)


async def _once(port: int, pool: Pool) -> bytes:
    connection = await pool.acquire(port)
    response = await _ask(connection)
    body = response.take()
    pool.release(port, connection)
    return body


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await scenario()

    asyncio.run(limited())


def test_connections_are_used_again() -> None:
    async def scenario() -> None:
        async with Replica(_polite) as replica:
            pool = Pool()
            assert [await _once(replica.port, pool) for _ in range(3)] == [b"ok"] * 3
            assert replica.connections == 1
            pool.keep(set())
            assert await _once(replica.port, pool) == b"ok"
            assert replica.connections == 2, "where no route leads, none is kept"

    run(scenario)


def test_closed_and_talkative_connections_are_not_used_again() -> None:
    async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)

    async def talks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.write(OK)
        await asyncio.sleep(1)

    async def scenario() -> None:
        for script in (closes, talks):
            async with Replica(script) as replica:
                pool = Pool()
                for _ in range(3):
                    assert await _once(replica.port, pool) == b"ok"
                    await asyncio.sleep(0.1)
                assert replica.connections == 3

    run(scenario)


def test_nobody_there() -> None:
    async def scenario() -> None:
        async with Replica(_polite) as replica:
            port = replica.port
        with pytest.raises(Unsent):
            await Pool().acquire(port)

    run(scenario)


def test_connection_that_breaks_says_so() -> None:
    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")

    async def babbles(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n\r\n")
        await reader.read()

    async def scenario() -> None:
        for script in (hangs_up, babbles):
            async with Replica(script) as replica:
                with pytest.raises(Broken):
                    await _once(replica.port, Pool())

    run(scenario)


def test_silence_is_a_timeout() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def scenario() -> None:
        async with Replica(silent) as replica:
            connection = await Pool().acquire(replica.port)
            with pytest.raises(TimeoutError):
                await _ask(connection, timeout=0.05)
            connection.close()

    run(scenario)


def test_large_answer_waits_for_its_reader() -> None:
    size = 32 << 20

    async def pours(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size >> 20):
            writer.write(bytes(1 << 20))
            await writer.drain()

    async def scenario() -> None:
        async with Replica(pours) as replica:
            connection = await Pool().acquire(replica.port)
            response = await _ask(connection)
            await asyncio.sleep(0.3)
            assert response.size < 4 << 20, "what nobody reads stays with the replica"
            total = 0
            async for part in connection.rest(5.0):
                total += len(part)
            assert total == size
            connection.close()

    run(scenario)


def test_upload_and_its_failure() -> None:
    received = bytearray()

    async def listens(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        while (size := int(await reader.readline(), 16)) > 0:
            received.extend(await reader.readexactly(size))
            await reader.readexactly(2)
        writer.write(OK)

    async def body(broken: bool) -> AsyncIterator[bytes]:
        for _ in range(50):
            yield b"x" * 100_000
        if broken:
            raise OSError("the client is gone")

    async def scenario() -> None:
        async with Replica(listens) as replica:
            connection = await Pool().acquire(replica.port)
            response = await _ask(connection, body(broken=False))
            assert (response.take(), len(received)) == (b"ok", 5_000_000)
            connection.close()
            connection = await Pool().acquire(replica.port)
            with pytest.raises(BadUpload, match="the client is gone"):
                await _ask(connection, body(broken=True))

    run(scenario)
