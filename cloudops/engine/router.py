"""The process behind an endpoint's URL: ``python -m cloudops.engine.router DIR LIFE LISTEN CONTROL``.

It accepts on the inherited socket LISTEN, which the supervisor holds too: while a router is being replaced, clients
wait in that socket's queue instead of being refused. It holds ``DIR/router.lock`` while it lives.

The HTTP of clients is aiohttp's: parsing what strangers send is nothing to write again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from collections.abc import Coroutine, Iterator
from typing import Any

from aiohttp import web

from . import router_log
from .router_balance import Balancer
from .router_link import SupervisorLink
from .router_proxy import Proxy
from .router_server import Server
from .router_stats import Recorder
from .router_upstream import Pool
from .service_find import SHIM, SUPERVISOR, Found, find, sweep
from .service_paths import Paths
from .service_secrets import Secrets
from .service_watch import DesiredFile

_FLUSH_PERIOD = 1.0
_LOCK_PATIENCE = 10.0
_SHUTDOWN = 30.0
#: Seconds for replicas whose requests have been answered, where nobody else ends them.
_ORPHANS = 5.0
#: Seconds for which the endpoint's files have to be gone; its supervisor, which is the first to end, takes less.
_GONE = 3.0


class Router:
    """Serves on ``listener`` until stopped by the supervisor or by SIGTERM, then ends after its open requests."""

    def __init__(self, paths: Paths, life: str, listener: int, control: int, secrets: Secrets) -> None:
        self._paths, self._life, self._secrets = paths, life, secrets
        self._balancer = Balancer()
        self._recorder = Recorder(paths.stats)
        self._pool = Pool()
        self._proxy = Proxy(self._balancer, self._recorder, self._pool, secrets)
        self._link = SupervisorLink(paths, life, (listener, control), secrets, self._on_message, self._report)
        self._listener = listener
        self._stop = asyncio.Event()
        self._routed = asyncio.Event()
        self._orphaned = False
        self._told = ""

    async def run(self) -> None:
        """Serve."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stop.set)
        server = Server(self._proxy.handle, access_log=None, auto_decompress=False, handler_cancellation=True)
        runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN)
        await runner.setup()
        tasks = [asyncio.create_task(work) for work in self._work(runner)]
        await self._stop.wait()
        await runner.cleanup()
        for task in tasks:
            task.cancel()
        self._flush_now()
        if self._orphaned:
            sweep(self._paths.root, grace=_ORPHANS, which=self._is_replica)

    def _work(self, runner: web.ServerRunner) -> Iterator[Coroutine[Any, Any, None]]:
        yield self._accept(runner)
        yield self._link.run()
        yield self._flush()
        yield self._watch()

    async def _watch(self) -> None:
        """End, with the replicas, where the endpoint's files are gone and there is no supervisor to do it."""
        file = DesiredFile(self._paths, self._life, patience=_GONE)
        while not file.gone or await asyncio.to_thread(self._supervised):
            await asyncio.sleep(_FLUSH_PERIOD)
            file.look(time.monotonic())
        self._orphaned = True
        self._stop.set()

    def _supervised(self) -> bool:
        """Whether our supervisor runs; its lock cannot tell where the folder was removed."""
        return any(one.life == self._life for one in find(self._paths.root, [SUPERVISOR]))

    def _is_replica(self, one: Found) -> bool:
        return one.module == SHIM and one.life == self._life

    async def _accept(self, runner: web.ServerRunner) -> None:
        """Let clients in once there are routes: until then they are better off in the socket's queue."""
        await self._routed.wait()
        # A socket of its own: aiohttp closes the one that it serves on, and a supervisor may still need ours.
        await web.SockSite(runner, socket.socket(fileno=os.dup(self._listener))).start()

    def _on_message(self, message: dict[str, Any]) -> None:
        if "routes" in message:
            self._balancer.apply(message["seq"], message["routes"])
            self._pool.keep(self._balancer.ports())
            self._routed.set()
        if "secrets" in message:
            fresh = Secrets.from_json(message["secrets"])
            self._secrets.token, self._secrets.versions, self._secrets.key = fresh.token, fresh.versions, fresh.key

    def _report(self) -> dict[str, Any]:
        return {
            "applied": self._balancer.applied,
            "open": self._balancer.open(),
            "waiting": self._balancer.waiting(),
            "counts": self._proxy.take_counts(),
        }

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(_FLUSH_PERIOD)
            self._pool.keep(self._balancer.ports())
            self._flush_now()

    def _flush_now(self) -> None:
        problem = str(self._recorder.flush() or "")
        if problem and problem != self._told:
            with contextlib.suppress(OSError):
                print(f"{time.time():.6f} figures are kept in memory: {problem}", file=sys.stderr, flush=True)  # noqa: T201
        self._told = problem


def main(arguments: list[str]) -> int:
    """Serve until stopped."""
    directory, life, listener, control = arguments
    secrets = Secrets.pop(os.environ)
    router_log.begin()
    paths = Paths(directory)
    lock = paths.router_lock()
    deadline = time.monotonic() + _LOCK_PATIENCE
    while not lock.acquire():
        if time.monotonic() > deadline:
            print(f"another router serves {paths.root}", file=sys.stderr)  # noqa: T201
            return 1
        time.sleep(0.02)
    _run(paths, life, int(listener), int(control), secrets)
    return 0


def _run(paths: Paths, life: str, listener: int, control: int, secrets: Secrets) -> None:
    async def serve() -> None:
        await Router(paths, life, listener, control, secrets).run()

    try:
        import uvloop  # a third faster, where it is installed
    except ImportError:
        asyncio.run(serve())
    else:
        uvloop.run(serve())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
