"""The process that keeps an endpoint as it is desired.

``python -m cloudops.engine.service_supervisor DIR LIFE LISTEN CONTROL READY``: the endpoint's directory and life, the
sockets for HTTP and for control that it inherits, and the descriptor on which it tells its starter how that went.

It holds ``DIR/lock`` while it lives. Several times a second it compares ``desired.json``, the plan of the rollout and
the processes, and acts on the difference. Everything that it decides is in ``observed.json`` and everything that it
runs is in the process table, so that after a ``kill -9`` the next supervisor (started by the router) goes on from
there: it adopts the router and the replicas, which have noticed nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from . import service_report, service_routes
from .files import Lock
from .process import end_group
from .rollout import Plan, Seen, advance, count
from .service_control import Link
from .service_find import SHIM, find
from .service_gate import Gate
from .service_paths import Paths
from .service_pool import Pool
from .service_replica import Replica
from .service_scale import Scaler
from .service_secrets import Secrets
from .service_types import Desired, Phase
from .service_watch import DesiredFile

_STEP = 0.1
_FIRST_LOOK = 2.0
#: Seconds for which what clients want has to be gone before the endpoint ends for it.
_GONE = 1.0


class Supervisor:
    """Owns the endpoint in ``paths`` while the caller holds its lock."""

    def __init__(
        self, paths: Paths, listener: socket.socket, control: socket.socket, secrets: Secrets, desired: Desired
    ) -> None:
        self.paths, self.secrets, self.desired = paths, secrets, desired
        self.link = Link(self._on_client)
        self.file = DesiredFile(paths, desired.life, patience=_GONE)
        self.gate = Gate(paths, desired.life, listener, control, secrets, self.link)
        self.pools: dict[str, Pool] = {}
        self.board = service_report.Board(paths)
        self.board.follow(desired)
        before = self.board.load()
        self.plan = Plan.from_json(before["plan"]) if before else Plan()
        if self.plan.generation != desired.generation:
            self.plan = advance(self.plan, desired, {}, time.time())
        self._replicas_before = service_report.replicas(before)
        self._poked = asyncio.Event()
        self._told = ""

    async def run(self) -> None:
        """Work until the endpoint is deleted or its first version has failed."""
        # A socket of its own: asyncio closes the one that it serves on.
        await self.link.serve(self.gate.control.dup())
        self.gate.adopt()
        self._adopt_replicas()
        # Not before: routes that leave out replicas nobody has looked at yet would stop the traffic.
        await self._first_look()
        while not self._over():
            self._safely(self.step)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._poked.wait(), _STEP)
            self._poked.clear()
        await self._finish()

    def step(self) -> None:
        """One look at everything, and what follows from it."""
        now = time.time()
        self._reload()
        if self.desired.deleted or self.file.gone:
            return
        self.gate.step()
        self.plan = count(self.plan, self.link.take_counts())
        before, self.plan = self.plan, advance(self.plan, self.desired, self._seen(), now)
        if before.generation != self.plan.generation and self.plan.action == "deploy":
            for name in self.plan.target:
                self._pool(name).retry()
        for name in self.plan.running | set(self.pools):
            self._pool(name).run(self._wanted(name, now))
        if self.plan.stage == "settled":
            for name in self.plan.weights:
                self.pools[name].keep()
        for pool in self.pools.values():
            pool.step(now)
        self.link.route(service_routes.routes(self.plan, self.pools))
        for pool in self.pools.values():
            pool.drain(now, self.link.seq, self._open)
        if self.plan.stage != "failed":
            self._publish()

    def _over(self) -> bool:
        return self.desired.deleted or self.file.gone or (self.plan.stage == "failed" and self._seal())

    def _seal(self) -> bool:
        """Publish the failure, unless a client is just asking for something else: then there is more to do.

        Clients write under this lock, and launch a new supervisor once they have seen the failure there.
        """
        lock = Lock(self.paths.client_lock)
        try:
            if not lock.acquire():
                return False
        except OSError:  # the folder was removed: looking at it will tell
            return False
        try:
            self._safely(self._reload)
            if self.desired.generation != self.plan.generation:
                return False
            self._safely(self._publish)
            return True
        finally:
            lock.release()

    def _open(self, replica: Replica) -> int | None:
        return self.link.open_at(replica.key, replica.unrouted or 0)

    def _seen(self) -> dict[str, Seen]:
        return {name: pool.seen() for name, pool in self.pools.items() if pool.wanted}

    def _pool(self, name: str) -> Pool:
        pool, spec = self.pools.get(name), self.desired.versions.get(name)
        # A name that was forgotten may come back with another specification.
        if spec is not None and (pool is None or (pool.spec != spec and not pool.slots)):
            policy, secrets = self.desired.policy, self.secrets.versions.get(name, {})
            scaler = Scaler(spec.min_replicas, spec.max_replicas, policy, 0)
            fresh = Pool(self.paths, self.desired.life, spec, secrets, self.secrets.key, policy, scaler)
            fresh.ending = pool.ending if pool else []
            self.pools[name] = pool = fresh
        assert pool is not None
        return pool

    def _wanted(self, name: str, now: float) -> int:
        """How many replicas a version should have; a new one begins with as many as the busiest one has."""
        if name not in self.plan.running:
            return 0
        pool = self.pools[name]
        if pool.wanted == 0:
            before = max([len(pool.slots), *(other.wanted for other in self.pools.values())])
            pool.scaler = Scaler(pool.spec.min_replicas, pool.spec.max_replicas, self.desired.policy, before)
        busy = sum(self.link.open.get(replica.key, 0) for replica in pool.routed())
        return pool.scaler.observe(now, busy + self.link.waiting.get(name, 0))

    def _adopt_replicas(self) -> None:
        for one in find(self.paths.root, [SHIM]):
            if one.life != self.desired.life:
                end_group(one.process, grace=0)
                continue
            if len(one.labels) != 3:
                continue
            version, index, ready_file = one.labels
            replica = Replica(version, int(index), one.process, Path(ready_file), self.paths.log(version, int(index)))
            taken = version in self.pools and any(slot.index == replica.index for slot in self.pools[version].slots)
            if taken or version not in self.desired.versions:
                replica.kill()
            else:
                self._pool(version).adopt(replica, self._replicas_before.get((version, replica.index)))

    async def _first_look(self) -> None:
        looks = [pool.look() for pool in self.pools.values()]
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*looks), _FIRST_LOOK)

    def _on_client(self, message: dict[str, Any]) -> None:
        """New secrets: for the versions to come, and for whoever restarts us."""
        self.secrets.update(message.get("token"), message["version"], message["values"])
        pool = self.pools.get(message["version"])
        if pool is not None:
            pool.secrets = self.secrets.versions.get(message["version"], {})
        self.link.tell({"secrets": self.secrets.to_json()})
        self._poked.set()

    def _reload(self) -> None:
        found = self.file.look(time.monotonic())
        if found is not None:
            self.desired = found
            self.board.follow(found)
            for pool in self.pools.values():
                pool.policy = pool.scaler.policy = self.desired.policy

    def _publish(self) -> None:
        state = service_report.state(self.desired, self.plan, self.pools)
        if state.phase in ("ready", "degraded") and (trouble := self.gate.trouble()):
            state = replace(state, phase="down", reason=trouble)
        if self.file.problem:
            state = replace(state, reason="; ".join(part for part in (self.file.problem, state.reason) if part))
        router = self.gate.process.pid if self.gate.process else None
        self.board.show(state, self.plan, supervisor=os.getpid(), router=router)

    async def _finish(self) -> None:
        """Stop serving: the router first, after its open requests, then the replicas; the last state stays."""
        final: Phase = "deleted" if self.desired.deleted or self.file.gone else "failed"
        if self.desired.deleted:
            self.board.end("deleting", "", self.desired, self.plan, os.getpid())
        self.gate.close()
        deadline = time.monotonic() + self.desired.policy.drain
        while self.gate.alive() and time.monotonic() < deadline:
            self.gate.stop()
            await asyncio.sleep(_STEP)
        self.gate.kill()
        await self._end_replicas(gently=final == "deleted")
        self.link.close()
        if self.file.gone:
            return  # another endpoint's files may lie here now
        self.board.end(final, self.plan.reason if final == "failed" else "", self.desired, self.plan, None)

    async def _end_replicas(self, *, gently: bool) -> None:
        for pool in self.pools.values():
            pool.run(0)
            if not gently:
                pool.end()
        while any(pool.ending for pool in self.pools.values()):
            for pool in self.pools.values():
                pool.drain(time.time(), 0, lambda _: 0)
            await asyncio.sleep(_STEP / 2)
        for pool in self.pools.values():
            pool.end()

    def _safely(self, action: Callable[[], None]) -> None:
        """A full disk or a damaged file must not end the supervision; each is told once in the log."""
        try:
            action()
        except (OSError, ValueError) as error:
            text = f"{type(error).__name__}: {error}"
            if text != self._told:
                self._told = text
                with contextlib.suppress(OSError):
                    print(f"{time.time():.6f} {text}", file=sys.stderr, flush=True)  # noqa: T201


def main(arguments: list[str]) -> int:
    """Serve until the endpoint is deleted; tells the starter through descriptor READY (-1: nobody) how it went."""
    directory, life, listener, control, ready = arguments
    secrets = Secrets.pop(os.environ)
    paths = Paths(directory)
    try:
        lock = paths.supervisor_lock()
        if not lock.acquire():
            raise OSError(f"another supervisor serves {paths.root}")
        desired = paths.known()
        if desired is None or desired.life != life:
            raise OSError(f"{paths.desired} is not there: nothing to serve")
    except (OSError, ValueError) as error:
        _tell(int(ready), str(error))
        return 1
    _tell(int(ready), "")
    sockets = (socket.socket(fileno=int(number)) for number in (listener, control))
    asyncio.run(_serve(paths, *sockets, secrets=secrets, desired=desired))
    return 0


async def _serve(
    paths: Paths, listener: socket.socket, control: socket.socket, *, secrets: Secrets, desired: Desired
) -> None:
    await Supervisor(paths, listener, control, secrets, desired).run()


def _tell(descriptor: int, problem: str) -> None:
    if descriptor >= 0:
        with contextlib.suppress(OSError), os.fdopen(descriptor, "w") as pipe:
            pipe.write(f"{problem or 'ok'}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
