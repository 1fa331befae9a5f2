"""The instances behind one variant of one endpoint configuration: as many as desired, requests to the least busy."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .replicas import Health, Replica

if TYPE_CHECKING:
    from cloudops.engine.service_shim import Task
    from cloudops.offline.clock import Clock

#: Real seconds that open requests get before their instance is ended.
_DRAIN = 60.0


class FleetFailed(Exception):
    """The fleet cannot serve; the text is the service's."""


class Throttled(Exception):
    """As many requests are under way as there may be."""


class NoInstance(Exception):
    """No instance can take a request now."""


@dataclass(frozen=True)
class Blueprint:
    """What every instance of a fleet is made of.

    Args:
        folder: of the fleet.
        prepare: fetches what instances have in common; called once, before the first. Raises :class:`FleetFailed`.
        start: see :class:`~.replicas.Replica`.
        health: see there.
        spread: whether requests go to any instance by chance instead of to the least busy one.
        alone: whether an instance takes one request at a time (serverless).
    """

    folder: Path
    prepare: Callable[[], None]
    start: Callable[[Path, int], Task]
    health: Health
    spread: bool = False
    alone: bool = False


class Fleet:
    """Instances of ``variant``; all methods may be called from any thread.

    Args:
        variant: its name, as log streams have it.
        blueprint: what an instance is made of.
        clock: the offline clock.
        draw: the seeded generator behind random routing.
    """

    def __init__(self, variant: str, blueprint: Blueprint, clock: Clock, draw: random.Random) -> None:
        self.variant, self.blueprint = variant, blueprint
        self.desired = 0
        self.closed = False
        self._clock, self._draw = clock, draw
        self._changed = threading.Condition()
        self._replicas: list[Replica] = []
        self._prepared = False
        self._waiting = 0
        #: Every instance that there ever was, until its log was collected.
        self.made: list[Replica] = []

    def replicas(self) -> list[Replica]:
        """Those that are, not those that are being ended."""
        with self._changed:
            return list(self._replicas)

    def ready(self) -> int:
        """How many can take requests."""
        with self._changed:
            return sum(one.phase == "ready" for one in self._replicas)

    def replicas_alive(self) -> bool:
        """Whether any instance is ready, or on its way."""
        with self._changed:
            return any(one.phase in ("ready", "starting") for one in self._replicas)

    def prepare(self) -> None:
        """Fetch what all instances have in common.

        Raises:
            FleetFailed: it cannot be fetched.
        """
        if not self._prepared:
            self.blueprint.prepare()
            self._prepared = True

    def scale(self, count: int) -> None:
        """Have ``count`` instances; those that go end after their open requests."""
        with self._changed:
            if self.closed:
                return
            self.desired = count
            while len(self._replicas) < count:
                self._replicas.append(self._new())
            surplus, self._replicas = self._replicas[count:], self._replicas[:count]
        for replica in surplus:
            self._retire(replica)

    def wait(self, count: int | None = None, stop: Callable[[], bool] = lambda: False) -> bool:
        """Wait until ``count`` instances (all that are desired) are ready; False where ``stop`` came true.

        Raises:
            FleetFailed: one of them cannot come up.
        """
        with self._changed:
            while not stop() and not self.closed:
                wanted = self.desired if count is None else count
                if sum(one.phase == "ready" for one in self._replicas) >= wanted:
                    return True
                failed = next((one for one in self._replicas if one.phase == "failed"), None)
                if failed is not None:
                    raise FleetFailed(failed.reason)
                self._changed.wait(0.2)
        return False

    @contextlib.contextmanager
    def instance(self) -> Iterator[Replica]:
        """An instance for one request; it is not ended before the request is over.

        Raises:
            NoInstance: none is ready.
        """
        with self._changed:
            replica = self._choose()
            if replica is None:
                raise NoInstance
            replica.open += 1
        try:
            yield replica
        finally:
            with self._changed:
                replica.open -= 1
                replica.used = self._clock.now()
                self._changed.notify_all()

    def wait_for_room(self, timeout: float) -> bool:
        """Wait until an instance could take a request, in real seconds; whether one can."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._choose() is None:
                left = deadline - time.monotonic()
                if left <= 0 or self.closed:
                    return False
                self._changed.wait(min(left, 0.2))
            return True

    def on_demand(self, limit: int, timeout: float) -> bool:
        """Have room for one request more, with up to ``limit`` instances (serverless); whether one had to be started.

        Raises:
            Throttled: so many requests are under way already.
            FleetFailed: the instance does not come up in ``timeout`` seconds.
        """
        deadline = time.monotonic() + timeout
        with self._changed:
            if self._choose() is not None:
                return False
            self._waiting += 1
            try:
                if sum(one.open for one in self._replicas) + self._waiting > limit:
                    raise Throttled
                while self._choose() is None:
                    self._grow(limit)
                    failed = [one for one in self._replicas if one.phase == "failed"]
                    if failed or self.closed or time.monotonic() > deadline:
                        self._replicas = [one for one in self._replicas if one not in failed]
                        for one in failed:
                            self._retire(one)
                        raise FleetFailed(failed[0].reason if failed else "the instance did not start in time")
                    self._changed.wait(0.2)
            finally:
                self._waiting -= 1
        return True

    def _grow(self, limit: int) -> None:
        needed = sum(one.open for one in self._replicas) + self._waiting
        while len(self._replicas) < min(limit, needed) and not self.closed:
            self._replicas.append(self._new())

    def shrink_idle(self, since: float) -> None:
        """End the instances that were not used after ``since`` (serverless)."""
        with self._changed:
            idle = [one for one in self._replicas if not one.open and one.phase != "starting" and one.used < since]
            self._replicas = [one for one in self._replicas if one not in idle]
        for replica in idle:
            self._retire(replica)

    def close(self, *, drain: bool = True) -> None:
        """End all instances; with ``drain`` after their open requests, and return when they are gone."""
        with self._changed:
            self.closed = True
            replicas, self._replicas = self._replicas, []
            self._changed.notify_all()
        if drain:
            self._await_idle(replicas)
            for replica in replicas:
                replica.end()
            for replica in replicas:
                replica.end(wait=True)
        else:
            for replica in replicas:
                replica.kill()

    def _new(self) -> Replica:
        blueprint = self.blueprint
        made = Replica(blueprint.folder, blueprint.start, blueprint.health, self._clock, self._notify)
        self.made.append(made)
        return made

    def _notify(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _choose(self) -> Replica | None:
        ready = [one for one in self._replicas if one.phase == "ready"]
        if self.blueprint.alone:
            ready = [one for one in ready if not one.open]
        if not ready:
            return None
        if self.blueprint.spread:
            return self._draw.choice(ready)
        least = min(one.open for one in ready)
        return self._draw.choice([one for one in ready if one.open == least])

    def _retire(self, replica: Replica) -> None:
        def work() -> None:
            self._await_idle([replica])
            replica.end(wait=True)

        threading.Thread(target=work, name=f"retire-{replica.id}", daemon=True).start()

    def _await_idle(self, replicas: list[Replica]) -> None:
        deadline = time.monotonic() + _DRAIN
        with self._changed:
            while any(one.open for one in replicas) and time.monotonic() < deadline:
                self._changed.wait(0.2)
