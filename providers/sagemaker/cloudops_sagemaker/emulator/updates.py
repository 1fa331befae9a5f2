"""Updates of an endpoint: blue/green at once, with a canary or in steps, or rolling; rolled back where they fail.

Waiting is by the offline clock. A bake ends when its time has passed on that clock, and has failed where an alarm was
in ALARM at any moment of it, also if the clock was moved over that moment.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from cloudops.offline.machines.fleets import FleetFailed

from . import alarms, hosting
from .deployments import Stopped, await_ready, close, start
from .hosted import Hosted, Side
from .operations import ServiceError

if TYPE_CHECKING:
    from .deployment_policy import Policy

#: Real seconds between looks at alarms.
_LOOK = 0.25
#: Properties that an update may keep.
PROPERTIES = frozenset({"DesiredInstanceCount", "DesiredWeight", "DataCaptureConfig"})


class RollBack(Exception):
    """The update does not go on; the text says why."""


def update(hosted: Hosted, config: Mapping[str, Any], policy: Policy, keep: Collection[str]) -> None:
    """From ``Updating`` to ``InService`` with ``config``, or through ``RollingBack`` to ``InService`` without it."""
    Update(hosted, config, policy, keep).run()


class Update:
    """One update; ``time`` is the offline second up to which it has come."""

    def __init__(self, hosted: Hosted, config: Mapping[str, Any], policy: Policy, keep: Collection[str]) -> None:
        self.hosted, self.config, self.policy, self.keep = hosted, config, policy, keep
        self.clock = hosted.region.clock
        self.begun = self.time = self.clock.now()
        assert hosted.blue is not None
        self.blue = hosted.blue

    def run(self) -> None:
        """All of it."""
        hosted = self.hosted
        hosted.pending = {"EndpointConfigName": self.config["EndpointConfigName"], "StartTime": self.begun}
        try:
            self.green = self._green()
            if self.policy.kind == "ROLLING":
                self._roll()
            else:
                self._blue_green()
        except (RollBack, FleetFailed, ServiceError) as error:
            self._roll_back(getattr(error, "message", str(error)))
            return
        hosted.remember()
        hosted.set("InService", EndpointConfigName=self.config["EndpointConfigName"], FailureReason=None)

    def _green(self) -> Side:
        config = dict(self.config)
        if "DataCaptureConfig" in self.keep:
            config.pop("DataCaptureConfig", None)
            if "DataCaptureConfig" in self.blue.config:
                config["DataCaptureConfig"] = self.blue.config["DataCaptureConfig"]
        green = self.hosted.side(config, 0.0)
        for name, member in green.members.items():
            before = self.blue.members.get(name)
            if before is not None and "DesiredInstanceCount" in self.keep:
                member.count = before.count
            if before is not None and "DesiredWeight" in self.keep:
                member.weight = before.weight
        with self.hosted.lock:
            self.hosted.green = green
        return green

    def _blue_green(self) -> None:
        policy, green = self.policy, self.green
        self._begin({name: member.count for name, member in green.members.items()})
        largest = max(member.count for member in green.members.values())
        if policy.size is not None:
            step = policy.size.share(largest)
            share = step
            while share < 1 - 1e-9:
                self._shift(share)
                self._bake()
                share = 1.0 if policy.kind == "CANARY" else share + step
        self._shift(1.0)
        self._bake()
        self._switch()
        self._mark("")
        self._wait(policy.linger)
        close(self.blue.fleets())

    def _roll(self) -> None:
        """Batch by batch: new instances start, take their part of the traffic, and as many old ones end."""
        policy, green, blue = self.policy, self.green, self.blue
        assert policy.size is not None
        counts = {name: member.count for name, member in green.members.items()}
        done = dict.fromkeys(counts, 0)
        while any(done[name] < counts[name] for name in counts):
            for name, count in counts.items():
                done[name] = min(count, done[name] + policy.size.instances(count))
            self._begin(done)
            self._shift(sum(done.values()) / sum(counts.values()))
            self._bake()
            for name, member in blue.members.items():
                if member.fleet is not None and name in counts:
                    left = round(member.count * (1 - done[name] / max(counts[name], 1)))
                    member.fleet.scale(left)
        for name, member in green.members.items():
            member.count = counts[name]
        self._switch()
        self._mark("")
        close(blue.fleets())

    def _begin(self, counts: Mapping[str, int]) -> None:
        self._mark("Creating")
        offline, real = self.clock.now(), time.monotonic()
        for name, member in self.green.members.items():
            start(self.hosted, member, counts[name])
        await_ready(self.hosted, self.green)
        self.time = self.clock.now()
        # How long a start takes is measured; that the clock was moved on meanwhile does not make it longer.
        self.begun += max(0.0, self.time - offline - (time.monotonic() - real) * self.clock.speed)

    def _shift(self, share: float) -> None:
        self._mark("ActivatingTraffic")
        with self.hosted.lock:
            self.blue.share, self.green.share = 1 - share, share

    def _switch(self) -> None:
        """The green side is the endpoint's from now on."""
        with self.hosted.lock:
            self.hosted.blue, self.hosted.green, self.hosted.pending = self.green, None, None
            self.green.share = 1.0

    def _bake(self) -> None:
        self._mark("Baking")
        self._wait(self.policy.bake)

    def _wait(self, seconds: float) -> None:
        start, end = self.time, self.time + seconds
        last = self.begun + self.policy.longest
        while True:
            now = min(self.clock.now(), end, last)
            self._check(start, now)
            if now >= end:
                break
            if now >= last:
                raise RollBack("The deployment exceeded its MaximumExecutionTimeoutInSeconds and was rolled back.")
            self.clock.wait(min(end - now, _LOOK * self.clock.speed), self.hosted.stopped)
            if self.hosted.stopped():
                raise Stopped
        self.time = end

    def _check(self, start: float, now: float) -> None:
        if self.hosted.green is None:
            return  # the new side is in service: nothing is rolled back any more
        fired = alarms.fired(self.hosted.region, self.policy.alarms, start, now)
        if fired:
            raise RollBack(f"The deployment was rolled back: the alarm(s) {', '.join(fired)} went into ALARM state.")
        for name, member in self.green.members.items():
            # One instance that is down is being replaced; without any the side does not serve.
            if member.fleet is not None and member.count and not member.fleet.replicas_alive():
                raise RollBack(f"The instances of production variant {name} did not stay healthy.")

    def _mark(self, state: str) -> None:
        for member in self.green.members.values():
            member.state = state

    def _roll_back(self, reason: str) -> None:
        hosted = self.hosted
        hosted.set("RollingBack", FailureReason=reason)
        with hosted.lock:
            green, hosted.green, hosted.pending = hosted.green, None, None
            self.blue.share = 1.0
        try:
            for member in self.blue.members.values():
                if member.fleet is not None and member.serverless is None:
                    member.fleet.scale(member.count)
            await_ready(hosted, self.blue)
        except FleetFailed as error:
            hosted.set("UpdateRollbackFailed", FailureReason=f"{reason} The rollback failed, too: {error}")
            return
        finally:
            if green is not None:
                close(green.fleets())
            hosting.collect(hosted)
        hosted.set("InService", FailureReason=reason)
