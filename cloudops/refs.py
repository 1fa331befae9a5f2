"""What comes back: handles as URIs, states, log lines and metric points, the same for every provider."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

SCHEME = "cloudops://"
KINDS = ("jobs", "models", "endpoints")


@dataclass(frozen=True, slots=True)
class Ref:
    """A handle as a URI: ``cloudops://<provider>/<scope>/<kind>/<id>``.

    Args:
        provider: the provider's name, such as ``"local"``.
        scope: where in the provider, its own segments joined by ``/``: ``project/region`` in a cloud, the project's
            folder on this machine. Never empty.
        kind: ``jobs``, ``models`` or ``endpoints``.
        id: the name in that scope.

    Raises:
        ValueError: a part is empty, or would not come back from the URI as it was.
    """

    provider: str
    scope: str
    kind: str
    id: str

    def __post_init__(self) -> None:
        if not (self.provider and self.id and all(self.scope.split("/")) and self.kind in KINDS):
            parts = (self.provider, self.scope, self.kind, self.id)
            raise ValueError(f"{parts!r} cannot be a handle: its parts are {_FORM}, none of them empty")

    def __str__(self) -> str:
        return f"{SCHEME}{_quote(self.provider)}/{_quote(self.scope, '/')}/{self.kind}/{_quote(self.id)}"

    @classmethod
    def parse(cls, uri: str) -> Ref:
        """The handle that ``uri`` spells.

        Raises:
            ValueError: it is not such a URI; the message shows the form.
        """
        parts = uri[len(SCHEME) :].split("/") if uri.startswith(SCHEME) else []
        if len(parts) < 4 or parts[-2] not in KINDS or not all(parts):
            raise ValueError(f"{uri!r} is not a cloudops URI; its form is {_FORM}")
        return cls(_unquote(parts[0]), _unquote("/".join(parts[1:-2])), parts[-2], _unquote(parts[-1]))


_FORM = f"{SCHEME}<provider>/<scope>/{{{'|'.join(KINDS)}}}/<id>"


def _quote(text: str, also_safe: str = "") -> str:
    # Names of files may hold bytes that are not UTF-8; Python shows them as surrogates.
    return quote(text, safe=f":@+,=-._~{also_safe}", errors="surrogateescape")


def _unquote(text: str) -> str:
    return unquote(text, errors="surrogateescape")


class Phase(enum.StrEnum):
    """The state of a job or an endpoint, the same words for every provider.

    Jobs go PENDING, STARTING, RUNNING, (STOPPING,) and end SUCCEEDED, FAILED or CANCELLED. Endpoints go STARTING,
    READY, (UPDATING,) DELETING, and end FAILED or DELETED. A native state that nobody knows is UNKNOWN, which
    is neither an end nor a success.
    """

    PENDING = "pending"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    READY = "ready"
    UPDATING = "updating"
    DELETING = "deleting"
    DELETED = "deleted"
    UNKNOWN = "unknown"

    @property
    def final(self) -> bool:
        """Whether a job or endpoint in this state will not change by itself any more."""
        return self in _FINAL


_FINAL = frozenset({Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED, Phase.DELETED})


@dataclass(frozen=True, slots=True)
class Status:
    """Where a job or an endpoint stands.

    Args:
        phase: the common state.
        reason: one line: why it failed, was rolled back, or what it waits for; empty where there is nothing to say.
        native: the provider's own word for the state.
        created: epoch seconds; None where the provider does not tell. The same for ``started`` and ``ended``.
        exit_code: of the job's main process.
        attempt: 1 for the first, higher after retries.
        traffic: for an endpoint, the share of each version in percent.
        url: for an endpoint, where it answers.
        refused: for an endpoint, the version of the last deployment when it was rolled back by itself.
        details: what else the provider tells, JSON values only.
    """

    phase: Phase
    reason: str = ""
    native: str = ""
    created: float | None = None
    started: float | None = None
    ended: float | None = None
    exit_code: int | None = None
    attempt: int | None = None
    traffic: Mapping[str, float] = field(default_factory=dict)
    url: str | None = None
    refused: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a log.

    Args:
        time: epoch seconds; when it was printed, as exactly as the provider tells.
        text: without the line end.
        source: the rank of a job (``"rank-0"``) or the replica of an endpoint.
    """

    time: float
    text: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class MetricPoint:
    """One value of one metric.

    Args:
        name: for jobs as the job logged it; for endpoints ``requests``, ``errors``, ``client_errors`` (counts),
            ``latency_p50``, ``latency_p90``, ``latency_p99`` (seconds); of what either uses ``cpu`` (cores) and
            ``memory`` (bytes).
        value: in the unit above.
        time: epoch seconds.
        step: of the training, where the job gave one.
        labels: such as ``{"version": "3f2a9c01"}`` or ``{"rank": "1"}``.
    """

    name: str
    value: float
    time: float | None = None
    step: int | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of a listing: a handle, its state and what it was made for.

    Args:
        ref: the handle.
        phase: its state when it was listed.
        created: epoch seconds.
        project: the project that made it.
        step: for jobs ``prepare``, ``train`` or ``evaluate``; empty otherwise.
        details: what the provider adds, JSON values only.
    """

    ref: Ref
    phase: Phase
    created: float | None = None
    project: str = ""
    step: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
