"""An endpoint that runs: the fleet behind each deployed model, and who gets the next request."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from typing import TYPE_CHECKING

from cloudops.offline.faults import FaultKind
from cloudops.offline.machines.fleets import Fleet
from cloudops.offline.machines.replicas import Health

from . import subjects

if TYPE_CHECKING:
    from .serving import Served
    from .site import Site
    from .store import Record

#: Seconds that an answer to a health check may take: https://cloud.google.com/vertex-ai/docs/predictions
_PATIENCE = 10.0
_MINUTE = 60.0


class Hosted:
    """What drives the endpoint of ``record``.

    Args:
        site: where it is.
        record: its record.
    """

    def __init__(self, site: Site, record: Record) -> None:
        self.site, self.record = site, record
        self.id = record.name.id
        self.lock = threading.RLock()
        #: By the ids of deployed models.
        self.fleets: dict[str, Fleet] = {}
        self.served: dict[str, Served] = {}
        #: Every fleet that there ever was; their logs are still to be collected.
        self.made: list[Fleet] = []
        #: When requests of the last minute came, by the ids of deployed models.
        self._asked: dict[str, deque[float]] = {}
        #: The ids of what is on its way.
        self.deploying: set[str] = set()
        self.ended = threading.Event()
        # A generator of its own, so that the same requests in the same order go the same way.
        self.draw = random.Random(f"{site.faults.seed}/{record.message.display_name}")
        #: The same for what is logged, which changes nothing of where requests go.
        self.sample = random.Random(f"{site.faults.seed}/{record.message.display_name}/logging")

    def stopped(self) -> bool:
        """Whether nothing is to be waited for any more."""
        return self.ended.is_set() or self.site.closing.is_set()

    def fleet(self, deployed: str, served: Served) -> Fleet:
        """A fleet for a model that is being deployed."""
        folder = self.site.folder / "endpoints" / self.id / deployed
        health = self._health(served)
        fleet = Fleet(deployed, served.blueprint(folder, health), self.site.clock, self.draw)
        with self.lock:
            fleet.closed = self.ended.is_set()
            self.made.append(fleet)
            self.fleets[deployed], self.served[deployed] = fleet, served
        return fleet

    def asked(self, deployed: str) -> None:
        """A request goes to a deployed model now."""
        with self.lock:
            self._asked.setdefault(deployed, deque()).append(time.monotonic())

    def asked_lately(self, deployed: str) -> int:
        """The requests of the last minute."""
        with self.lock:
            found = self._asked.get(deployed, deque())
            while found and found[0] < time.monotonic() - _MINUTE:
                found.popleft()
            return len(found)

    def drop(self, deployed: str) -> Fleet | None:
        """Take a model's fleet out of service; whoever asks for it closes it."""
        with self.lock:
            self.served.pop(deployed, None)
            self._asked.pop(deployed, None)
            return self.fleets.pop(deployed, None)

    def end(self) -> None:
        """End everything at once."""
        with self.lock:
            self.ended.set()
            made = list(self.made)
        for fleet in made:
            fleet.close(drain=False)

    def _health(self, served: Served) -> Health:
        """The conditions of a start, with the faults that are to happen to this endpoint."""
        faults, name = self.site.faults, self.record.message.display_name
        slow = faults.take([FaultKind.SLOW_START], subjects.ENDPOINT, name)
        unhealthy = faults.take([FaultKind.UNHEALTHY], subjects.ENDPOINT, name)

        def struck() -> bool:
            return faults.take([FaultKind.UNHEALTHY], subjects.REPLICA, name) is not None

        return Health(
            served.timeout,
            slow.lasts if slow else 0.0,
            unhealthy is not None,
            served.size.memory,
            struck,
            served.health_route,
            _PATIENCE,
        )
