"""What an endpoint on this machine is made of: versions, how they roll out, and the state that readers see."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

Phase = Literal[
    "creating",
    "updating",
    "rolling_back",
    "ready",
    "degraded",  # every version with traffic serves, not all with the replicas that they should have
    "recovering",  # a version with traffic has no replica that is ready, and one is just coming back
    "down",  # a version with traffic has no replica that is ready, and they keep failing; it goes on trying
    "failed",
    "deleting",
    "deleted",
]
VersionPhase = Literal["starting", "live", "baking", "draining", "stopped", "failed"]


class ServiceConflict(RuntimeError):
    """What was asked for contradicts the state of the endpoint; nothing has changed."""


#: Phases in which an endpoint has come to rest; it may still leave "degraded" and "down" by itself.
SETTLED: frozenset[str] = frozenset({"ready", "degraded", "down", "failed", "deleted"})

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True)
class VersionSpec:
    """One version of what is served; immutable once it is deployed.

    A replica is any program that listens on ``CLOUDOPS_HOST``:``CLOUDOPS_PORT`` (0: it chooses), then writes
    ``{"port": ..., "pid": ...}`` to ``CLOUDOPS_READY_FILE``, answers 200 on ``health_path`` when it can serve and
    ends with code 0 on SIGTERM after its open requests.

    Sizes are bytes, times seconds. ``env`` is the whole environment of a replica except secrets. ``setup`` commands
    run before the first replica, and again where the program is gone: they have to be quick where nothing is left to
    do. Their time does not count as readiness time. A replica tree whose resident
    memory exceeds ``memory`` is restarted. ``gpus`` is the value list of CUDA_VISIBLE_DEVICES (empty: none visible).
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    min_replicas: int = 1
    max_replicas: int = 1
    cpus: float | None = None
    memory: int | None = None
    readiness_timeout: float = 300.0
    health_path: str = "/ping"
    setup: tuple[tuple[str, ...], ...] = ()
    gpus: tuple[str, ...] = ()
    capture_sample: float = 0.0
    request_timeout: float = 60.0

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(
                f"version name {self.name!r}: use 1 to 63 of letters, digits, '_', '.', '-', starting with a letter "
                "or digit"
            )
        if not self.argv:
            raise ValueError(f"version {self.name}: argv is empty; give the program that serves")
        if not 1 <= self.min_replicas <= self.max_replicas:
            raise ValueError(
                f"version {self.name}: replicas {self.min_replicas} to {self.max_replicas}; "
                "expected 1 <= min_replicas <= max_replicas"
            )
        if not 0 <= self.capture_sample <= 1:
            raise ValueError(f"version {self.name}: capture_sample {self.capture_sample}; expected a share, 0 to 1")

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> VersionSpec:
        """The version that :func:`dataclasses.asdict` and JSON wrote."""
        plain = _known(cls, value)
        plain["argv"] = tuple(plain["argv"])
        plain["setup"] = tuple(tuple(command) for command in plain.get("setup", ()))
        plain["gpus"] = tuple(plain.get("gpus", ()))
        return cls(**plain)


@dataclass(frozen=True)
class Rollout:
    """How traffic moves to a new version: ``canary`` share (0 to 1; None: all at once), then ``bake`` seconds of watch.

    During the bake the new version is rolled back when, after ``min_requests``, the share of its answers that were 5xx
    exceeds the live version's by more than ``max_error_rate`` (a share, 0 to 1; the live version's counts as 0 with
    fewer requests than that), or when its replicas keep crashing. A bake with fewer requests passes.
    """

    canary: float | None = None
    bake: float = 0.0
    max_error_rate: float = 0.05
    min_requests: int = 5

    def __post_init__(self) -> None:
        if self.canary is not None and not 0 <= self.canary <= 1:
            raise ValueError(f"canary {self.canary}; expected a share of the traffic, 0 to 1")


@dataclass(frozen=True)
class Policy:
    """The endpoint's own clockwork, in seconds unless said otherwise.

    Replicas are probed every ``health_period``; ``failures`` failed probes in a row (no answer within
    ``probe_timeout``, or not 200) restart one. A crashed replica is restarted at once, then after ``backoff``,
    doubled each time up to ``backoff_max``. A version that ends ``start_attempts`` times before it was ever ready is
    given up. The router holds a request up to ``hold`` while a replica is being restarted, and an old replica gets
    ``drain`` to finish its requests. A version gains replicas when its open requests per replica, averaged over
    ``scale_up_after``, exceed ``target_concurrency``, and loses them after ``scale_down_after`` of needing fewer.
    """

    health_period: float = 1.0
    probe_timeout: float = 5.0
    failures: int = 3
    backoff: float = 0.5
    backoff_max: float = 30.0
    start_attempts: int = 3
    hold: float = 5.0
    drain: float = 30.0
    target_concurrency: float = 4.0
    scale_up_after: float = 2.0
    scale_down_after: float = 60.0


@dataclass(frozen=True)
class Desired:
    """What clients want: the content of ``desired.json``. ``target`` is the share of traffic by version (sum 1).

    ``life`` tells this endpoint from every other that is ever deployed in the same directory; its processes carry it.
    """

    generation: int
    port: int
    created: float
    versions: Mapping[str, VersionSpec]
    target: Mapping[str, float]
    action: Literal["deploy", "traffic", "rollback", "resume"]
    rollout: Rollout = Rollout()
    policy: Policy = Policy()
    secret_names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    token: bool = False
    deleted: bool = False
    life: str = ""

    def to_json(self) -> dict[str, Any]:
        """A JSON object; it holds the names of secrets, never their values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Desired:
        """What :meth:`to_json` wrote."""
        plain = _known(cls, value)
        plain["versions"] = {name: VersionSpec.from_json(spec) for name, spec in plain["versions"].items()}
        plain["rollout"] = Rollout(**_known(Rollout, plain["rollout"]))
        plain["policy"] = Policy(**_known(Policy, plain["policy"]))
        plain["secret_names"] = {name: tuple(names) for name, names in plain.get("secret_names", {}).items()}
        return cls(**plain)


@dataclass(frozen=True)
class ReplicaState:
    """One replica; ``started`` is epoch seconds, ``restarts`` counts how often its place was refilled."""

    index: int
    pid: int | None
    port: int | None
    ready: bool
    restarts: int
    started: float | None


@dataclass(frozen=True)
class VersionState:
    """One version: ``traffic`` is the percentage it gets now, ``target`` what it is meant to get."""

    name: str
    state: VersionPhase
    traffic: float
    target: float
    reason: str
    replicas: tuple[ReplicaState, ...]

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> VersionState:
        """What :func:`dataclasses.asdict` and JSON wrote."""
        plain = _known(cls, value)
        plain["replicas"] = tuple(ReplicaState(**_known(ReplicaState, one)) for one in plain["replicas"])
        return cls(**plain)


@dataclass(frozen=True)
class ServiceState:
    """An endpoint as its supervisor last saw it. ``reason`` is one line; ``supervisor`` and ``router`` are ids.

    The endpoint has done what was asked last when ``observed_generation`` has reached that call's generation and
    ``phase`` is in :data:`SETTLED`. After an automatic rollback the phase is "ready", the reason says why, and
    ``refused`` is the version that was rolled back, whose state is "failed".
    """

    phase: Phase
    reason: str
    url: str
    port: int
    generation: int
    observed_generation: int
    versions: tuple[VersionState, ...] = ()
    refused: str = ""
    supervisor: int | None = None
    router: int | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> ServiceState:
        """What :func:`dataclasses.asdict` and JSON wrote; unknown members are left aside."""
        plain = _known(cls, value)
        plain["versions"] = tuple(VersionState.from_json(one) for one in plain["versions"])
        return cls(**plain)

    def version(self, name: str) -> VersionState:
        """The state of version ``name``.

        Raises:
            KeyError: there is no such version.
        """
        for one in self.versions:
            if one.name == name:
                return one
        raise KeyError(f"no version {name!r} here; there are: {', '.join(v.name for v in self.versions) or 'none'}")


def _known(cls: type, value: Mapping[str, Any]) -> dict[str, Any]:
    """The members of ``value`` that ``cls`` has: a state written by a newer cloudops stays readable."""
    names = {one.name for one in fields(cls)}
    return {key: member for key, member in value.items() if key in names}
