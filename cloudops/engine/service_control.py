"""The supervisor's socket: the router reports there and is told its routes, clients hand over secrets.

JSON objects, one a line. The socket lies in the endpoint's directory and only its owner may use it. It is made once,
when an endpoint is launched, and handed on from supervisor to router to supervisor like the one for HTTP: who connects
while there is no supervisor waits for the next, and restarting one needs no room on the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Any

from .service_paths import Paths, short

_LINE_LIMIT = 1 << 24


def listen(paths: Paths) -> socket.socket:
    """Bind the control socket of an endpoint that does not run; the caller holds the client lock.

    Raises:
        OSError: it cannot be created there.
    """
    with contextlib.suppress(FileNotFoundError):
        paths.control.unlink()
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        with short(paths.control) as name:
            server.bind(name)
    except OSError:
        server.close()
        raise
    finally:
        os.umask(before)
    server.listen(16)
    return server


def connect(paths: Paths) -> socket.socket:
    """A connection to the supervisor.

    Raises:
        OSError: none listens.
    """
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        client.settimeout(10)
        with short(paths.control) as name:
            client.connect(name)
    except OSError:
        client.close()
        raise
    return client


def ask(paths: Paths, message: Mapping[str, Any], *, timeout: float = 10.0) -> None:
    """Send a client's message and wait until the supervisor has taken it; waits for one that is being restarted.

    Raises:
        TimeoutError: no supervisor answered.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            with connect(paths) as client, client.makefile("rwb") as stream:
                stream.write(encode(message))
                stream.flush()
                if stream.readline():
                    return
        except OSError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"no supervisor answered in {timeout:g} s; see {paths.supervisor_log}")
        time.sleep(0.05)


def encode(message: Mapping[str, Any]) -> bytes:
    """One line."""
    return json.dumps(message).encode() + b"\n"


class Link:
    """The supervisor's end: what the router last reported, and the routes that it is to use.

    ``on_client`` is called with each client's message, before it is answered.
    """

    def __init__(self, on_client: Callable[[dict[str, Any]], None]) -> None:
        self._on_client = on_client
        self._router: asyncio.StreamWriter | None = None
        self._message: dict[str, Any] = {}
        self._counts: dict[str, list[int]] = {}
        self._server: asyncio.Server | None = None
        # A router may report on the routes of the supervisor before us: ours have larger numbers.
        self.seq = int(1000 * time.time())
        self.applied = -1
        self.heard = 0.0
        self.open: dict[str, int] = {}
        self.waiting: dict[str, int] = {}

    async def serve(self, server: socket.socket) -> None:
        """Begin to answer on the control socket."""
        self._server = await asyncio.start_unix_server(self._connected, sock=server, limit=_LINE_LIMIT)

    def close(self) -> None:
        """Stop answering."""
        if self._server is not None:
            self._server.close()
        if self._router is not None:
            self._router.close()

    @property
    def connected(self) -> bool:
        """Whether a router is there."""
        return self._router is not None

    def route(self, routes: dict[str, Any]) -> None:
        """Have the router use ``routes`` from now on; nothing is sent where they are the same."""
        if routes != self._message.get("routes"):
            self.seq += 1
            self._message = {"seq": self.seq, "routes": routes}
            self.tell(self._message)

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send the router a message; nothing happens where there is none."""
        if self._router is not None:
            self._router.write(encode(message))

    def take_counts(self) -> dict[str, tuple[int, int]]:
        """Requests and 5xx answers by version since the last call."""
        counts, self._counts = self._counts, {}
        return {name: (requests, errors) for name, (requests, errors) in counts.items()}

    def open_at(self, key: str, unrouted: int) -> int | None:
        """The open requests of a replica that routes ``unrouted`` and later leave out; None: not applied yet."""
        return self.open.get(key, 0) if self.applied >= unrouted else None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError):
            first = json.loads(await reader.readline() or b"null")
            if first is None:
                pass
            elif "router" in first:
                await self._attend(reader, writer)
            else:
                self._on_client(first)
                writer.write(encode({"ok": True}))
                await writer.drain()
        writer.close()

    async def _attend(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._router, self.applied, self.open, self.waiting = writer, -1, {}, {}
        self.heard = time.monotonic()
        if self._message:
            writer.write(encode(self._message))
        try:
            while line := await reader.readline():
                self._report(json.loads(line))
        finally:
            if self._router is writer:
                self._router, self.applied, self.open, self.waiting = None, -1, {}, {}

    def _report(self, report: dict[str, Any]) -> None:
        self.heard = time.monotonic()
        self.applied, self.open, self.waiting = report["applied"], report["open"], report["waiting"]
        for name, (requests, errors) in report["counts"].items():
            counts = self._counts.setdefault(name, [0, 0])
            counts[0] += requests
            counts[1] += errors
