"""What the supervisor shows of an endpoint in ``observed.json``."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from . import rollout
from .files import read_json, write_json
from .rollout import Plan
from .service_paths import Paths
from .service_pool import Pool
from .service_types import Desired, Phase, ReplicaState, ServiceState, VersionPhase, VersionState

_RETRY = 1.0


class Board:
    """Writes ``observed.json`` when something changed; where the disk is full, again every second until it worked."""

    def __init__(self, paths: Paths) -> None:
        self.paths = paths
        self._shown: dict[str, Any] | None = None
        self._stamp: tuple[int, int] | None = None
        self._next_try = 0.0
        self._desired: dict[str, Any] = {}

    def follow(self, desired: Desired) -> None:
        """From now on show beside the state what clients want: it is needed where their own file is damaged."""
        self._desired = desired.to_json()

    def load(self) -> dict[str, Any] | None:
        """What an earlier supervisor left, or None where that is nothing or damaged."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            value = read_json(self.paths.observed)
            if value is not None:
                Plan.from_json(value["plan"])
                ServiceState.from_json(value)
                return dict(value)
        return None

    def show(self, state: ServiceState, plan: Plan, *, supervisor: int | None, router: int | None) -> None:
        """Write the state, if it or the file has changed since the last time.

        Raises:
            OSError: it could not be written; the next call tries again after a second.
        """
        value = {**asdict(replace(state, supervisor=supervisor, router=router)), "plan": plan.to_json()}
        value["desired"] = self._desired
        if value == self._shown and self._stamp == self._on_disk():
            return
        if time.monotonic() < self._next_try:
            return
        self._next_try = time.monotonic() + _RETRY
        write_json(self.paths.observed, value)
        self._shown, self._stamp, self._next_try = value, self._on_disk(), 0.0

    def end(self, phase: Phase, reason: str, desired: Desired, plan: Plan, supervisor: int | None) -> None:
        """Write a state without processes; where the disk is full, the process table tells readers the same."""
        ended = state(desired, replace(plan, weights={}, target={}, stage="settled"), {})
        with contextlib.suppress(OSError):
            self._next_try = 0.0
            self.show(replace(ended, phase=phase, reason=reason), plan, supervisor=supervisor, router=None)

    def _on_disk(self) -> tuple[int, int] | None:
        with contextlib.suppress(OSError):
            status = self.paths.observed.stat()
            return status.st_mtime_ns, status.st_size
        return None


def state(desired: Desired, plan: Plan, pools: Mapping[str, Pool]) -> ServiceState:
    """The endpoint as it is now."""
    seen = {name: pool.seen() for name, pool in pools.items() if pool.wanted}
    phase = rollout.phase(plan, seen)
    versions = tuple(_version(name, plan, pools.get(name)) for name in desired.versions)
    return ServiceState(
        phase=phase,
        reason=_reason(plan, phase, versions),
        url=f"http://127.0.0.1:{desired.port}",
        port=desired.port,
        generation=desired.generation,
        observed_generation=plan.generation,
        versions=versions,
        refused=plan.refused,
    )


def replicas(before: Mapping[str, Any] | None) -> dict[tuple[str, int], ReplicaState]:
    """The replicas by version and place as an earlier supervisor left them."""
    if before is None:
        return {}
    versions = ServiceState.from_json(before).versions
    return {(version.name, one.index): one for version in versions for one in version.replicas if one.started}


def _reason(plan: Plan, phase: Phase, versions: tuple[VersionState, ...]) -> str:
    troubles = [f"version {one.name}: {one.reason}" for one in versions if one.reason and one.state != "failed"]
    if phase in ("recovering", "down") and not troubles:
        troubles = [f"version {one.name}: no replica is ready" for one in versions if one.traffic and not _ready(one)]
    return "; ".join(part for part in (plan.reason, *troubles) if part)


def _ready(version: VersionState) -> int:
    return sum(replica.ready for replica in version.replicas)


def _version(name: str, plan: Plan, pool: Pool | None) -> VersionState:
    return VersionState(
        name=name,
        state=_phase(name, plan, pool),
        traffic=round(100 * plan.weights.get(name, 0.0), 6),
        target=round(100 * plan.target.get(name, 0.0), 6),
        reason=(pool.trouble() if pool else "") or plan.failed.get(name, ""),
        replicas=tuple(pool.states()) if pool else (),
    )


def _phase(name: str, plan: Plan, pool: Pool | None) -> VersionPhase:
    if name in plan.failed and name not in plan.running:
        return "failed"
    if name in plan.candidates and plan.stage in ("starting", "baking"):
        return "baking" if plan.stage == "baking" else "starting"
    if name in plan.running:
        return "live"
    return "draining" if pool is not None and pool.ending else "stopped"
