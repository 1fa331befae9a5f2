"""How a deployment changes what is desired of an endpoint."""

from __future__ import annotations

import time
from dataclasses import replace
from secrets import token_hex
from typing import Any

from .files import read_json
from .rollout import Plan
from .service_paths import Paths
from .service_types import Desired, Phase, Rollout, ServiceConflict, ServiceState, VersionSpec, VersionState

_KEPT_VERSIONS = 10


def deployed(
    paths: Paths, before: Desired | None, version: VersionSpec, rollout: Rollout, port: int | None, *, running: bool
) -> Desired:
    """The desired state with ``version`` as its target; ``before`` itself where that is what it says already.

    Raises:
        ServiceConflict: the endpoint has another port, or another version of that name.
    """
    target = {version.name: 1.0}
    if before is None or before.deleted:
        return _first(paths, before, version, rollout, port)
    same_port(before, port)
    plan = latest_plan(paths)
    refused = plan.generation == before.generation and version.name in plan.failed
    known = before.versions.get(version.name)
    replaceable = refused and version.name not in plan.history
    if known is not None and _plain(known) != _plain(version) and not replaceable:
        raise ServiceConflict(
            f"version {version.name} is deployed already and differs; a change needs a new version name"
        )
    if before.target == target and running and not refused and not _down(paths, before.generation):
        return before
    versions = {**_kept(before, plan), version.name: version}
    return replace(
        before,
        generation=before.generation + 1,
        versions=versions,
        target=target,
        action="deploy",
        rollout=rollout,
        secret_names={name: names for name, names in before.secret_names.items() if name in versions},
    )


def same_port(desired: Desired | None, port: int | None) -> None:
    """Raise ServiceConflict where an endpoint that is there listens on another port than ``port`` (None, 0: any)."""
    if desired is not None and not desired.deleted and port not in (None, 0, desired.port):
        raise ServiceConflict(f"the endpoint listens on port {desired.port}; to move it to {port}, delete it first")


def ahead(state: ServiceState, desired: Desired) -> ServiceState:
    """The state between a call and the moment at which the supervisor sees it."""
    phase: Phase = "creating"
    if state.phase not in ("creating", "failed", "deleted"):
        phase = "rolling_back" if desired.action == "rollback" else "updating"
    known = {version.name for version in state.versions}
    fresh = [
        VersionState(name, "starting", 0.0, 100 * desired.target.get(name, 0.0), "", ())
        for name in desired.versions
        if name not in known
    ]
    return replace(state, phase=phase, reason="", versions=(*state.versions, *fresh))


def latest_plan(paths: Paths) -> Plan:
    """The rollout as the supervisor last wrote it."""
    value = read_json(paths.observed)
    return Plan.from_json(value["plan"]) if value and "plan" in value else Plan()


def _down(paths: Paths, generation: int) -> bool:
    """Whether nothing serves: deploying again is then more than a repeated call, and starts what is missing at once.

    What was asked for and not seen yet has not been tried.
    """
    value = read_json(paths.observed)
    return bool(value) and value.get("phase") == "down" and value.get("observed_generation") == generation


def _first(paths: Paths, deleted: Desired | None, version: VersionSpec, rollout: Rollout, port: int | None) -> Desired:
    """A new endpoint; where one was deleted in this directory, generations go on and its state is forgotten."""
    paths.observed.unlink(missing_ok=True)
    generation = deleted.generation + 1 if deleted else 1
    return Desired(
        generation,
        port or 0,
        time.time(),
        {version.name: version},
        {version.name: 1.0},
        "deploy",
        rollout,
        life=token_hex(8),
    )


def _kept(desired: Desired, plan: Plan) -> dict[str, VersionSpec]:
    """The versions to remember: those in use, and the last ones that were live."""
    needed = {*plan.running, *plan.history[-_KEPT_VERSIONS:], *desired.target}
    return {name: spec for name, spec in desired.versions.items() if name in needed}


def _plain(version: VersionSpec) -> dict[str, Any]:
    return {**version.__dict__, "env": dict(version.env)}
