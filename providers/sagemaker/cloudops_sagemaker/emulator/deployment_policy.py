"""How an update of an endpoint goes: the guardrails of DeploymentConfig, checked and put into plain numbers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .operations import invalid

_MOST_CANARY = 50
_LINEAR = (10, 50)
_ROLLING = (5, 50)
_LONGEST = 28800


@dataclass(frozen=True)
class Policy:
    """An update's plan.

    Args:
        kind: ``ALL_AT_ONCE``, ``CANARY``, ``LINEAR`` or ``ROLLING``.
        size: of the canary, of a linear step or of a rolling batch; None: all.
        bake: seconds that are waited after traffic has moved.
        linger: seconds for which the old fleet stays after that.
        longest: seconds that all of it may take.
        alarms: names of the alarms that end it.
    """

    kind: str = "ALL_AT_ONCE"
    size: Size | None = None
    bake: float = 0.0
    linger: float = 0.0
    longest: float = _LONGEST
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Size:
    """A part of a fleet: ``INSTANCE_COUNT`` or ``CAPACITY_PERCENT``."""

    kind: str
    value: int

    def instances(self, count: int) -> int:
        """How many of ``count`` instances, at least one."""
        if self.kind == "INSTANCE_COUNT":
            return min(self.value, count)
        return max(1, math.ceil(count * self.value / 100))

    def share(self, count: int) -> float:
        """Which part of the traffic of ``count`` instances."""
        return self.value / 100 if self.kind == "CAPACITY_PERCENT" else min(1.0, self.value / max(count, 1))


def policy(config: Mapping[str, Any] | None, counts: Sequence[int]) -> Policy:
    """The plan that ``config`` asks for, over variants with ``counts`` instances.

    Raises:
        ServiceError: it contradicts itself or the guardrails.
    """
    if not config:
        return Policy()
    alarms = tuple(one["AlarmName"] for one in config.get("AutoRollbackConfiguration", {}).get("Alarms", ()))
    blue_green, rolling = config.get("BlueGreenUpdatePolicy"), config.get("RollingUpdatePolicy")
    if blue_green and rolling:
        raise invalid("Only one of BlueGreenUpdatePolicy and RollingUpdatePolicy can be specified.")
    if rolling:
        return _rolling(rolling, counts, alarms)
    return _blue_green(blue_green or {}, counts, alarms)


def _blue_green(given: Mapping[str, Any], counts: Sequence[int], alarms: tuple[str, ...]) -> Policy:
    routing = given.get("TrafficRoutingConfiguration", {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0})
    kind, bake = routing["Type"], routing["WaitIntervalInSeconds"]
    size = None
    if kind == "CANARY":
        size = _size(routing, "CanarySize", counts, 1, _MOST_CANARY)
    elif kind == "LINEAR":
        size = _size(routing, "LinearStepSize", counts, *_LINEAR)
    elif "CanarySize" in routing or "LinearStepSize" in routing:
        raise invalid("CanarySize and LinearStepSize must not be specified for traffic routing type ALL_AT_ONCE.")
    linger = given.get("TerminationWaitInSeconds", 0)
    longest = given.get("MaximumExecutionTimeoutInSeconds", _LONGEST)
    _check_time(longest, bake + linger)
    return Policy(kind, size, bake, linger, longest, alarms)


def _rolling(given: Mapping[str, Any], counts: Sequence[int], alarms: tuple[str, ...]) -> Policy:
    if "RollbackMaximumBatchSize" in given:
        raise invalid("RollbackMaximumBatchSize is not emulated by the offline cloud, which rolls back at once")
    size = _size(given, "MaximumBatchSize", counts, *_ROLLING)
    longest = given.get("MaximumExecutionTimeoutInSeconds", _LONGEST)
    _check_time(longest, given["WaitIntervalInSeconds"])
    return Policy("ROLLING", size, given["WaitIntervalInSeconds"], 0, longest, alarms)


def _check_time(longest: float, waits: float) -> None:
    if longest <= waits:
        raise invalid(
            "MaximumExecutionTimeoutInSeconds must be greater than the sum of WaitIntervalInSeconds and "
            "TerminationWaitInSeconds."
        )


def _size(given: Mapping[str, Any], member: str, counts: Sequence[int], low: int, high: int) -> Size:
    if member not in given:
        raise invalid(f"{member} must be specified for this traffic routing type.")
    size = Size(given[member]["Type"], given[member]["Value"])
    if size.kind == "CAPACITY_PERCENT" and not low <= size.value <= high:
        raise invalid(f"{member} of type CAPACITY_PERCENT must be between {low} and {high} percent.")
    if size.kind == "INSTANCE_COUNT" and any(size.value > max(1, count // 2) for count in counts):
        raise invalid(f"{member} must not be more than {high} percent of a variant's instances.")
    return size
