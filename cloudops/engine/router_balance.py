"""Which replica answers the next request: the share of each version first, then the least busy of its replicas.

Versions take turns by smooth weighted round-robin, as in nginx: exact over time and evenly spread, so that a canary of
10 % gets every tenth request and not, by chance, none of the first fifty.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

#: A replica that refused a connection gets no requests for this many seconds, unless new routes come.
REFUSED = 0.5
#: The same where a connection broke: enough for the others of a dead replica to be seen broken too.
BROKEN = 0.05


@dataclass
class Target:
    """A replica: ``open`` requests on it now, ``turn`` when it was last chosen, suspect until loop second ``until``."""

    key: str
    version: str
    port: int
    timeout: float = 60.0
    open: int = 0
    turn: int = 0
    until: float = 0.0


@dataclass
class Route:
    """A version: its share of the traffic, and how many seconds a request may wait for one of its replicas."""

    weight: float
    hold: float
    targets: list[Target] = field(default_factory=list)
    credit: float = 0.0
    waiting: int = 0


class Balancer:
    """The routes in use, and the requests open on each replica, those included that no route leads to any more."""

    def __init__(self) -> None:
        self.applied = -1
        self.routes: dict[str, Route] = {}
        self.changed = asyncio.Event()
        self._targets: dict[str, Target] = {}
        self._turns = itertools.count(1)

    def apply(self, seq: int, routes: Mapping[str, Mapping[str, Any]]) -> None:
        """Use ``routes`` (as in ``service_routes.py``) from now on; open requests stay where they are."""
        same = {name: route["weight"] for name, route in routes.items()} == {
            name: route.weight for name, route in self.routes.items()
        }
        self.routes = {name: self._route(name, value, keep=same) for name, value in routes.items()}
        routed = {target.key for route in self.routes.values() for target in route.targets}
        self._targets = {key: one for key, one in self._targets.items() if one.open or key in routed}
        self.applied = seq
        self._wake()

    def choose(self, pin: str | None, avoid: Collection[str], now: float) -> Target | None:
        """The replica for a request at loop second ``now``, of version ``pin`` if given; None where none can.

        Replicas whose keys are in ``avoid`` (where the request failed already) come last.
        """
        usable = {name: found for name in self._eligible(pin) if (found := self._usable(name, now))}
        if not usable:
            return None
        target = min(usable[self._take_turn(usable)], key=lambda one: (one.key in avoid, one.open, one.turn))
        target.turn = next(self._turns)
        return target

    def ready(self, now: float) -> bool:
        """Whether any replica could take a request now."""
        return any(self._usable(name, now) for name in self._eligible(None))

    def hold(self, pin: str | None) -> float:
        """Seconds for which a request may wait when no replica can take it."""
        return max((self.routes[name].hold for name in self._eligible(pin)), default=0.0)

    def blame(self, pin: str | None) -> str:
        """The version that a request belongs to which none could take: the one with the largest share."""
        eligible = self._eligible(pin)
        return max(eligible, key=lambda name: self.routes[name].weight) if eligible else ""

    def suspect(self, target: Target, until: float) -> None:
        """Send nothing to a replica until loop second ``until``, unless new routes say that it is well."""
        target.until = max(target.until, until)

    def open(self) -> dict[str, int]:
        """The open requests of each replica that has any."""
        return {key: target.open for key, target in self._targets.items() if target.open}

    def ports(self) -> set[int]:
        """Where routes lead."""
        return {target.port for route in self.routes.values() for target in route.targets}

    def waiting(self) -> dict[str, int]:
        """The requests that wait for a replica, by version."""
        return {name: route.waiting for name, route in self.routes.items() if route.waiting}

    def _eligible(self, pin: str | None) -> list[str]:
        if pin is not None:
            return [pin] if pin in self.routes else []
        return [name for name, route in self.routes.items() if route.weight > 0]

    def _usable(self, name: str, now: float) -> list[Target]:
        return [target for target in self.routes[name].targets if target.until <= now]

    def _take_turn(self, names: Collection[str]) -> str:
        if len(names) == 1:
            return next(iter(names))
        total = 0.0
        for name in names:
            route = self.routes[name]
            route.credit += route.weight
            total += route.weight
        chosen = max(names, key=lambda name: self.routes[name].credit)
        self.routes[chosen].credit -= total
        return chosen

    def _route(self, name: str, value: Mapping[str, Any], *, keep: bool) -> Route:
        route = Route(value["weight"], value["hold"])
        before = self.routes.get(name)
        if before is not None:
            route.waiting = before.waiting
            route.credit = before.credit if keep else 0.0
        for key, port in value["replicas"]:
            target = self._targets.setdefault(key, Target(key, name, port))
            target.timeout, target.until = value["timeout"], 0.0
            route.targets.append(target)
        return route

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()
