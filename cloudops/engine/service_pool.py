"""The replicas of one version: as many as wanted, crashed ones replaced, surplus ones drained."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from . import service_key, service_replica
from .rollout import Seen
from .service_paths import Paths
from .service_replica import Replica
from .service_scale import Scaler
from .service_setup import Command, Setup
from .service_shim import describe, last_words
from .service_types import Policy, ReplicaState, VersionSpec

#: Seconds that a replica has to end after SIGTERM before it is killed.
GRACE = 30.0
#: The same where it does not answer or takes too much memory.
SHORT_GRACE = 5.0
#: A replica that served this long starts with a clean record when it crashes.
_FORGIVEN_AFTER = 60.0
#: Crashes in a row up to which the next start comes soon enough for requests to wait for it.
_WORTH_WAITING = 3
_FIRST_PROBES = 0.1


@dataclass
class Slot:
    """A replica's place; ``crashes`` in a row, ``restarts`` ever, ``next_start`` the epoch second of the next try.

    ``futile``: the last replica here ended without ever having been ready.
    """

    index: int
    replica: Replica | None = None
    restarts: int = 0
    crashes: int = 0
    next_start: float = 0.0
    reason: str = ""
    futile: bool = False

    @property
    def lost(self) -> bool:
        """Whether what is started here next will most likely fail too; one crash may be an accident."""
        return self.futile or self.crashes > _WORTH_WAITING


@dataclass
class Pool:
    """Version ``spec`` with its processes. ``step`` is called several times a second with the time (epoch seconds)."""

    paths: Paths
    life: str
    spec: VersionSpec
    secrets: Mapping[str, str]
    key: str
    policy: Policy
    scaler: Scaler
    wanted: int = 0
    slots: list[Slot] = field(default_factory=list)
    ending: list[Replica] = field(default_factory=list)
    was_ready: bool = False
    given_up: str = ""
    problem: str = ""
    _setup_due: float = 0.0
    _watches: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._setup = Setup(self.spec.setup, self._start_setup)

    def adopt(self, replica: Replica, before: ReplicaState | None) -> None:
        """Take over a running replica that another supervisor started and left in state ``before``."""
        self._setup.skip()
        self.slots.append(Slot(replica.index, replica, restarts=before.restarts if before else 0))
        if before is not None and replica.announced() and replica.pid == before.pid and before.ready:
            replica.ready = replica.was_ready = self.was_ready = True
        self._watch(replica)

    def keep(self) -> None:
        """It is live: from now on it is tried again and again, however often it fails."""
        self.was_ready, self.given_up = True, ""

    def retry(self) -> None:
        """It was asked for again: start what is missing at once and with a clean record."""
        self.given_up, self.problem, self._setup_due = "", "", 0.0
        for slot in self.slots:
            slot.crashes, slot.next_start, slot.futile = 0, 0.0, False

    async def look(self) -> None:
        """Probe every replica once."""
        found = [slot.replica for slot in self.slots if slot.replica is not None]
        await asyncio.gather(*(one.probe(self.spec.health_path, self.policy.probe_timeout) for one in found))

    def run(self, wanted: int) -> None:
        """From now on have ``wanted`` replicas; 0 ends them, and the version starts with a clean record next time."""
        self.wanted = wanted
        if wanted == 0:
            for slot in self.slots:
                self._retire(slot)
            self.slots, self.was_ready, self.given_up, self.problem = [], False, "", ""
            self._setup.end()

    def step(self, now: float) -> None:
        """Notice what ended, start what is missing, retire what is too much."""
        self._bury(now)
        if self.wanted and not self.given_up and self._prepare(now):
            self._fill(now)
        while len(self.slots) > self.wanted:
            self._retire(self.slots.pop())

    def drain(self, now: float, routed: int, open_requests: Callable[[Replica], int | None]) -> None:
        """Move ending replicas on: to SIGTERM when the router has none of their requests left, to SIGKILL when late.

        ``routed`` is the number of the routes that leave them out; ``open_requests`` is None as long as the router
        may still send them some.
        """
        for replica in list(self.ending):
            replica.ending_since = replica.ending_since or now
            if replica.unrouted is None:
                replica.unrouted = routed
            waited = now - replica.ending_since
            if not replica.told and (open_requests(replica) == 0 or waited > self.policy.drain):
                replica.tell()
                replica.ending_since = now
            elif replica.told and waited > GRACE:
                replica.kill()
            if not replica.alive():
                self._discard(replica)

    def end(self) -> None:
        """Kill everything now."""
        self.run(0)
        for replica in list(self.ending):
            replica.kill()
            self._discard(replica)

    def routed(self) -> list[Replica]:
        """The replicas that may get requests."""
        return [slot.replica for slot in self.slots if slot.replica is not None and slot.replica.ready]

    def recovering(self) -> bool:
        """Whether waiting for a replica makes sense: one is coming back that has not failed again and again."""
        return self.was_ready and any(slot.crashes <= _WORTH_WAITING for slot in self.slots)

    def seen(self) -> Seen:
        """What the rollout needs to know."""
        ready = len(self.routed())
        return Seen(
            ready=ready,
            wanted=self.wanted,
            served=self.was_ready,
            preparing=not self._setup.done,
            crashes=sum(slot.crashes for slot in self.slots),
            down=ready == 0 and self.wanted > 0 and self._down(),
            given_up=self.given_up or ("" if ready else self.problem or self._hopeless()),
            last_words=next(self._words(), "") if ready < self.wanted else "",
        )

    def trouble(self) -> str:
        """One line about what keeps failing, or ""."""
        ends = (
            f"replica {slot.index} ended {slot.crashes} times in a row ({slot.reason})"
            for slot in self.slots
            if slot.crashes > 1
        )
        return "; ".join(filter(None, (self.problem, *ends)))

    def states(self) -> Iterator[ReplicaState]:
        """Its replicas as readers see them, those that are ending last."""
        for slot in self.slots:
            one = slot.replica
            yield (
                ReplicaState(slot.index, one.pid, one.port, one.ready, slot.restarts, one.started)
                if one
                else ReplicaState(slot.index, None, None, False, slot.restarts, None)
            )
        for one in self.ending:
            yield ReplicaState(one.index, one.pid, one.port, False, 0, one.started)

    def _down(self) -> bool:
        """Whether none will be ready soon; while it is being set up once more there is hope."""
        return bool(self.given_up or self.problem) or (self._setup.done and self._all(lambda slot: slot.lost))

    def _all(self, condition: Callable[[Slot], bool]) -> bool:
        return bool(self.slots) and all(condition(slot) for slot in self.slots)

    def _hopeless(self) -> str:
        """Why a version that served once will not be ready soon, or "": it goes on trying, but nobody need wait."""
        attempts = self.policy.start_attempts
        return self.trouble() if self._all(lambda slot: slot.futile and slot.crashes >= attempts) else ""

    def _words(self) -> Iterator[str]:
        for slot in self.slots:
            words = (last_words(slot.replica.log) if slot.replica else "") or slot.reason
            if words:
                yield words

    def _prepare(self, now: float) -> bool:
        """Run the set-up commands one after the other; True when the version can start."""
        if self._setup.done or now < self._setup_due:
            return self._setup.done
        try:
            if self._setup.step():
                self.problem = ""
            elif self._setup.code:
                words = last_words(self.paths.setup_log(self.spec.name))
                self._setup_failed(describe(self._setup.code) + (f": {words}" if words else ""), now)
        except OSError as error:
            self._setup_failed(f"a command cannot be started: {error}", now)
        return self._setup.done

    def _setup_failed(self, why: str, now: float) -> None:
        """A version that never served is given up; another one is tried again after a while."""
        self.problem = f"could not be set up: {why}"
        self._setup_due = now + self.policy.backoff_max
        if not self.was_ready:
            self.given_up = self.problem

    def _start_setup(self, command: Command) -> subprocess.Popen[bytes]:
        log, labels = self.paths.setup_log(self.spec.name), (self.life,)
        return service_replica.run(self.paths, self.spec, command, {}, self.secrets, log, labels=labels, tied=True)

    def _fill(self, now: float) -> None:
        taken = {slot.index for slot in self.slots}
        free = (index for index in range(self.spec.max_replicas + 1) if index not in taken)
        while len(self.slots) < self.wanted:
            self.slots.append(Slot(next(free)))
        for slot in self.slots:
            if slot.replica is None and now >= slot.next_start:
                self._start(slot, now)

    def _start(self, slot: Slot, now: float) -> None:
        try:
            secrets = {**self.secrets, service_key.VARIABLE: self.key}
            slot.replica = service_replica.start(self.paths, self.life, self.spec, secrets, slot.index)
        except OSError as error:
            self._failed(slot, f"cannot be started: {error}", now)
            return
        self._watch(slot.replica)

    def _bury(self, now: float) -> None:
        for slot in self.slots:
            replica = slot.replica
            if replica is None:
                continue
            if replica.was_ready:
                self.was_ready = True
                if now - replica.started > _FORGIVEN_AFTER:
                    slot.crashes = 0
            if not replica.alive():
                reason = replica.epitaph()
                if replica.unstartable():
                    self._setup.again()  # somebody may have removed what it made, such as a cached environment
                replica.kill()
                self._unwatch(replica)
                self._failed(slot, reason, now)
            elif harm := self._harm(replica, now):
                self._replace(slot, harm, now)

    def _harm(self, replica: Replica, now: float) -> str:
        """Why a running replica has to be replaced, or ""."""
        limit, patience = self.spec.memory, self.spec.readiness_timeout
        if limit and replica.used > limit:
            return f"out of memory: used {replica.used} of {limit} bytes"
        if replica.was_ready and replica.failures >= self.policy.failures:
            return f"{replica.failures} health probes failed"
        # While the version has never been ready, its rollout keeps the time.
        if self.was_ready and not replica.was_ready and now - replica.started > patience:
            return f"did not become ready in {patience:g} s"
        return ""

    def _replace(self, slot: Slot, reason: str, now: float) -> None:
        """End a replica that harms, and start another in its place."""
        replica = slot.replica
        assert replica is not None
        replica.tell()
        replica.ending_since = now - GRACE + SHORT_GRACE
        self._failed(slot, reason, now)
        self._dismiss(replica)

    def _failed(self, slot: Slot, reason: str, now: float) -> None:
        slot.futile = slot.replica is None or not slot.replica.was_ready
        slot.replica = None
        slot.reason = reason
        slot.restarts += 1
        slot.crashes += 1
        pause = self.policy.backoff * 2 ** (slot.crashes - 2) if slot.crashes > 1 else 0.0
        slot.next_start = now + min(pause, self.policy.backoff_max)
        if not self.was_ready and slot.crashes >= self.policy.start_attempts:
            self.given_up = f"ended {slot.crashes} times before it was ready: {reason}"

    def _retire(self, slot: Slot) -> None:
        if slot.replica is not None:
            self._dismiss(slot.replica)
            slot.replica = None

    def _dismiss(self, replica: Replica) -> None:
        self._unwatch(replica)
        replica.ready = False
        self.ending.append(replica)

    def _discard(self, replica: Replica) -> None:
        replica.kill()
        self.ending.remove(replica)

    def _watch(self, replica: Replica) -> None:
        self._watches[replica.key] = asyncio.create_task(self._probe(replica))

    def _unwatch(self, replica: Replica) -> None:
        task = self._watches.pop(replica.key, None)
        if task is not None:
            task.cancel()

    async def _probe(self, replica: Replica) -> None:
        while True:
            await replica.probe(self.spec.health_path, self.policy.probe_timeout)
            replica.used = replica.memory(self.spec.memory) if self.spec.memory else 0
            await asyncio.sleep(self.policy.health_period if replica.ready else _FIRST_PROBES)
