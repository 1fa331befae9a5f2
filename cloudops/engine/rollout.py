"""How traffic moves between versions: a pure state machine, advanced by the supervisor with what it saw and the time.

A plan rests ("settled") until the desired generation changes. Then every version of the new target is started beside
what runs ("starting"); once ready, traffic moves, for a deployment with a bake after a watched time ("baking"). A
version that does not become ready, or answers badly during its bake, sends the plan back to the last settled weights.
It fails as a whole only where nothing has ever served: what is live is worth more than what was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from .service_types import Desired, Phase, Rollout, ServiceConflict

#: A candidate whose replicas ended this often before its bake was over is not healthy.
_CRASHES_IN_BAKE = 3


@dataclass(frozen=True)
class Seen:
    """What the supervisor sees of one version. ``given_up`` says why it will not become ready, "" otherwise.

    ``served``: a replica has been ready since the version was last started. ``down``: none is, and those that are
    started in its place fail.
    """

    ready: int = 0
    wanted: int = 1
    served: bool = False
    preparing: bool = False
    crashes: int = 0
    down: bool = False
    given_up: str = ""
    last_words: str = ""

    @property
    def complete(self) -> bool:
        """Whether as many replicas are ready as the version is meant to have."""
        return self.ready >= self.wanted


@dataclass(frozen=True)
class Plan:
    """Where a rollout is; everything needed to go on after the supervisor was killed. Times are epoch seconds.

    ``weights`` is what the router applies, ``stable`` the last weights that were settled, ``history`` the versions in
    the order in which they went live, ``failed`` why versions were refused, ``refused`` the one among them that the
    rollout of this generation brought. ``requests`` and ``errors`` count what was answered during the bake, by the
    candidates and, with ``live_``, by the versions beside them.
    """

    generation: int = 0
    action: str = ""
    stage: Literal["starting", "baking", "settled", "failed"] = "settled"
    weights: Mapping[str, float] = field(default_factory=dict)
    target: Mapping[str, float] = field(default_factory=dict)
    stable: Mapping[str, float] = field(default_factory=dict)
    history: tuple[str, ...] = ()
    deadline: float | None = None
    requests: int = 0
    errors: int = 0
    live_requests: int = 0
    live_errors: int = 0
    reason: str = ""
    failed: Mapping[str, str] = field(default_factory=dict)
    refused: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Plan:
        """What :meth:`to_json` wrote."""
        return cls(**{**value, "history": tuple(value["history"])})

    @property
    def running(self) -> set[str]:
        """The versions that have processes: those with traffic, those meant to get some, those to fall back to."""
        if self.stage == "failed":
            return set()
        fallback = set() if self.stage == "settled" else set(self.stable)
        return set(self.weights) | set(self.target) | fallback

    @property
    def candidates(self) -> set[str]:
        """The versions that this rollout brings in."""
        return set(self.target) - set(self.stable)


def advance(plan: Plan, desired: Desired, seen: Mapping[str, Seen], now: float) -> Plan:
    """The plan after one look at the versions at epoch second ``now``."""
    if desired.generation != plan.generation:
        return _begin(plan, desired)
    if plan.stage == "starting":
        return _start(plan, desired, seen, now)
    if plan.stage == "baking":
        return _bake(plan, desired, seen, now)
    return plan


def count(plan: Plan, requests: Mapping[str, tuple[int, int]]) -> Plan:
    """The plan with the answers given during its bake added: version -> (requests, those answered with 5xx)."""
    if plan.stage != "baking" or not requests:
        return plan
    new = [requests[name] for name in plan.candidates if name in requests]
    live = [requests[name] for name in plan.stable if name in requests]
    return replace(
        plan,
        requests=plan.requests + sum(total for total, _ in new),
        errors=plan.errors + sum(errors for _, errors in new),
        live_requests=plan.live_requests + sum(total for total, _ in live),
        live_errors=plan.live_errors + sum(errors for _, errors in live),
    )


def phase(plan: Plan, seen: Mapping[str, Seen]) -> Phase:
    """The endpoint's phase in one word."""
    if plan.stage == "failed":
        return "failed"
    if plan.stage == "settled":
        return _health([seen.get(name, Seen()) for name in plan.weights])
    if not plan.stable:
        return "creating"
    return "rolling_back" if plan.action == "rollback" else "updating"


def fallback(plan: Plan, desired: Desired) -> dict[str, float]:
    """The weights that a rollback asked for now leads to: out of a running rollout, else one version back.

    Raises:
        ServiceConflict: no version was live before.
    """
    if plan.generation != desired.generation or plan.stage in ("starting", "baking"):
        if desired.action == "rollback":
            return dict(desired.target)
        if plan.stable:
            return dict(plan.stable)
    newest = next((name for name in reversed(plan.history) if name in plan.stable), None)
    place = plan.history.index(newest) if newest else 0
    if place == 0:
        raise ServiceConflict(
            f"nothing to roll back to: no version was live before {newest or next(iter(desired.target), 'this one')}"
        )
    return {plan.history[place - 1]: 1.0}


def _health(live: Sequence[Seen]) -> Phase:
    if any(version.down for version in live):
        return "down"
    if any(version.ready == 0 for version in live):
        return "recovering"
    return "degraded" if any(version.crashes and not version.complete for version in live) else "ready"


def _begin(plan: Plan, desired: Desired) -> Plan:
    stable = {name: share for name, share in plan.stable.items() if name in desired.versions}
    return replace(
        plan,
        generation=desired.generation,
        action=desired.action,
        stage="starting",
        weights=dict(stable),
        target=dict(desired.target),
        stable=stable,
        deadline=None,
        requests=0,
        errors=0,
        live_requests=0,
        live_errors=0,
        reason="",
        refused="",
        failed={name: why for name, why in plan.failed.items() if name not in desired.target},
    )


def _start(plan: Plan, desired: Desired, seen: Mapping[str, Seen], now: float) -> Plan:
    looks = {name: seen.get(name, Seen()) for name in plan.target}
    waiting = {name: version for name, version in looks.items() if not _arrived(plan, name, looks)}
    if not waiting:
        return _move(plan, desired, now)
    for name, version in waiting.items():
        if why := version.given_up or _lasting(plan, name, version):
            return _refuse(plan, seen, name, why)
    if any(version.preparing for version in waiting.values()):
        return replace(plan, deadline=None, reason=f"preparing version {', '.join(waiting)}")
    timeout = max(desired.versions[name].readiness_timeout for name in waiting)
    if plan.deadline is None:
        return replace(plan, deadline=now + timeout, reason=f"waiting for version {', '.join(waiting)}")
    if now < plan.deadline:
        return plan
    name, version = next(iter(waiting.items()))
    said = f": {version.last_words}" if version.last_words else ""
    return _refuse(plan, seen, name, f"did not become ready in {timeout:g} s{said}")


def _lasting(plan: Plan, name: str, version: Seen) -> str:
    """Why traffic should not wait for a live version that is down, or ""; one that is deployed again is waited for."""
    if plan.action == "deploy" or name not in plan.stable or not version.down:
        return ""
    return f"does not come back{f': {version.last_words}' if version.last_words else ''}"


def _arrived(plan: Plan, name: str, looks: Mapping[str, Seen]) -> bool:
    """Whether a version of the target may have its traffic.

    A new one has to be complete. A live one is taken with what it has: a replica that cannot be restarted must not
    stand in the way of traffic that is moved. With none it is taken only beside another version that serves: all
    traffic to it alone would take down what answers now.
    """
    version = looks[name]
    if name not in plan.stable or not version.served:
        return version.complete
    others = any(look.ready for other, look in looks.items() if other != name)
    return version.ready > 0 or (others and plan.action in ("traffic", "rollback"))


def _move(plan: Plan, desired: Desired, now: float) -> Plan:
    """Every version of the target is ready: give traffic, at first under watch where that was asked for."""
    policy = desired.rollout
    watched = desired.action == "deploy" and plan.stable and plan.candidates and policy.bake > 0
    if not watched:
        return _settle(plan)
    weights = dict(plan.target) if policy.canary is None else _blend(plan.stable, plan.target, policy.canary)
    names = ", ".join(sorted(plan.candidates))
    return replace(
        plan,
        stage="baking",
        weights=weights,
        deadline=now + policy.bake,
        reason=f"baking version {names} for {policy.bake:g} s",
    )


def _bake(plan: Plan, desired: Desired, seen: Mapping[str, Seen], now: float) -> Plan:
    policy = desired.rollout
    over = plan.deadline is None or now >= plan.deadline
    for name in sorted(plan.candidates):
        version = seen.get(name, Seen())
        # A crash may be an accident; one that nothing has made up for when the bake is over is not.
        if version.crashes >= _CRASHES_IN_BAKE or (over and version.crashes and plan.deadline is not None):
            return _refuse(plan, seen, name, f"crashed {version.crashes} times during its bake: {version.last_words}")
    if why := _too_many_errors(plan, policy):
        return _refuse(plan, seen, min(plan.candidates), why)
    return _settle(plan) if over else plan


def _too_many_errors(plan: Plan, policy: Rollout) -> str:
    """Why the candidate is refused for its answers, or "": what the live version does too is not its fault."""
    rate = plan.errors / max(plan.requests, 1)
    compared = plan.live_requests >= policy.min_requests
    usual = plan.live_errors / plan.live_requests if compared else 0.0
    if plan.requests < policy.min_requests or rate - usual <= policy.max_error_rate:
        return ""
    more = f" more than the {usual:.0%} of the live version" if usual else ""
    return (
        f"answered {plan.errors} of {plan.requests} requests with a server error during its bake "
        f"({rate:.0%}, allowed {policy.max_error_rate:.0%}{more})"
    )


def _refuse(plan: Plan, seen: Mapping[str, Seen], name: str, why: str) -> Plan:
    serving = any(version.served or version.ready for live in plan.stable if (version := seen.get(live, Seen())))
    if not plan.stable or not (plan.candidates or serving):
        failed = {**plan.failed, name: why}
        return replace(plan, stage="failed", weights={}, stable={}, reason=f"version {name} {why}", failed=failed)
    rest = replace(plan, stage="settled", weights=dict(plan.stable), target=dict(plan.stable), deadline=None)
    if name not in plan.candidates:
        return replace(rest, reason=f"version {name} {why}")
    return replace(rest, reason=f"rolled back: version {name} {why}", failed={**plan.failed, name: why}, refused=name)


def _settle(plan: Plan) -> Plan:
    reason = f"rolled back to version {', '.join(plan.target)}" if plan.action == "rollback" else ""
    return replace(
        plan,
        stage="settled",
        weights=dict(plan.target),
        stable=dict(plan.target),
        history=_history(plan),
        deadline=None,
        reason=reason,
    )


def _history(plan: Plan) -> tuple[str, ...]:
    """A rollback forgets what it left behind, so that a second one goes further back instead of forth."""
    if plan.action == "rollback":
        last = max((plan.history.index(name) for name in plan.target if name in plan.history), default=-1)
        return plan.history[: last + 1] or tuple(plan.target)
    if plan.action == "deploy":
        return (*(name for name in plan.history if name not in plan.target), *plan.target)
    return (*plan.history, *(name for name in plan.target if name not in plan.history))


def _blend(old: Mapping[str, float], new: Mapping[str, float], share: float) -> dict[str, float]:
    mixed = {name: value * (1 - share) for name, value in old.items()}
    for name, value in new.items():
        mixed[name] = mixed.get(name, 0.0) + value * share
    return mixed
