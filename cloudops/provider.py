"""What a provider implements: three roles behind one object, and what it declares about itself.

A provider is stateless between calls: everything that a call needs is in its arguments, and the provider's own
cloud is the truth. Calls are thread-safe. Every failure is a :class:`cloudops.errors.CloudopsError`.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .messages import (
    Answer,
    BatchRequest,
    Captured,
    CheckResult,
    CodeVersion,
    DeployRequest,
    Input,
    JobRequest,
    Lineage,
    ModelInfo,
    Plan,
    Request,
)

if TYPE_CHECKING:
    from .refs import Listed, LogLine, MetricPoint, Ref, Status

#: All that a provider needs to import, the messages of :mod:`cloudops.messages` included.
__all__ = [
    "Answer",
    "BatchRequest",
    "Capability",
    "Captured",
    "CheckResult",
    "CodeVersion",
    "DeployRequest",
    "Deployer",
    "Input",
    "JobRequest",
    "Lineage",
    "ModelInfo",
    "Monitor",
    "Plan",
    "Provider",
    "ProviderContext",
    "ProviderInfo",
    "Request",
    "Support",
    "Trainer",
    "attempt_name",
]


class Capability(enum.StrEnum):
    """What a provider may or may not be able to do; each has one portable meaning."""

    TRAIN = "train"
    DEPLOY = "deploy"
    MONITOR = "monitor"
    BATCH = "batch"
    IMAGE = "image"
    REQUIREMENTS = "requirements"
    SECRETS = "secrets"
    REMOTE_INPUTS = "remote_inputs"
    ACCELERATORS = "accelerators"
    INSTANCE_TYPE = "instance_type"
    DISK_SIZE = "disk_size"
    MULTI_NODE = "multi_node"
    SPOT = "spot"
    TIMEOUT = "timeout"
    RETRIES = "retries"
    CHECKPOINTS = "checkpoints"
    LOG_FOLLOW = "log_follow"
    TRAFFIC_SPLIT = "traffic_split"
    CANARY = "canary"
    ROLLBACK = "rollback"
    AUTOSCALING = "autoscaling"
    SCALE_TO_ZERO = "scale_to_zero"
    CAPTURE = "capture"
    TOKEN_AUTH = "token_auth"
    OPEN_ENDPOINT = "open_endpoint"


@dataclass(frozen=True, slots=True)
class Support:
    """Whether a capability is there.

    Args:
        ok: whether it works.
        reason: one line: why not, or how it is emulated.
        hint: the nearest alternative, where there is one.
    """

    ok: bool
    reason: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """What a plugin registers; cheap to make, so it names its classes as ``module:attribute`` and imports nothing.

    Args:
        name: the provider's name, as in ``provider: local``.
        summary: one line.
        create: a callable ``(ProviderContext) -> Provider``.
        target: a pydantic model of the settings in ``targets.<name>``, ``provider`` left out.
        overrides: a pydantic model of ``overrides.<name>``.
        capabilities: a callable ``() -> Mapping[Capability, Support]`` that needs no SDK and no credentials.
        sdk: the import names of the SDK that the provider needs; empty for none.
        extra: the extra of the distribution that brings the SDK.
        emulator: the class of the provider's offline cloud, a :class:`cloudops.offline.emulator.Emulator`; empty: none.
    """

    name: str
    summary: str
    create: str
    target: str
    overrides: str
    capabilities: str
    sdk: tuple[str, ...] = ()
    extra: str = ""
    emulator: str = ""


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What a provider is created with.

    Args:
        root: the project's folder; ``.cloudops`` in it may hold caches.
        settings: the validated target settings, an instance of ``ProviderInfo.target``; None when only a URI is known.
        scope: the scope of the URI that is attached to; None when the settings are known.
    """

    root: Path
    settings: Any = None
    scope: str | None = None


def attempt_name(name: str, number: int) -> str:
    """The name of the ``number``-th job of the intent ``name``, counted from 1."""
    return name if number == 1 else f"{name}-{number}"


class Trainer(ABC):
    """Runs jobs and keeps the models they make."""

    @abstractmethod
    def plan(self, request: JobRequest) -> Plan:
        """What :meth:`submit` would create. Creates nothing; raises what submit would raise for bad input."""

    @abstractmethod
    def submit(self, request: JobRequest) -> Ref:
        """Start the job and return at once. The same name again returns the first job's handle."""

    def plan_batch(self, request: BatchRequest) -> Plan:
        """What :meth:`batch` would create, as :meth:`plan`."""
        raise NotImplementedError("a provider that declares Capability.BATCH implements plan_batch and batch")

    def batch(self, request: BatchRequest) -> Ref:
        """Start a job that predicts every row, as :meth:`submit`; its output ``predictions`` has one in each line."""
        raise NotImplementedError("a provider that declares Capability.BATCH implements plan_batch and batch")

    @abstractmethod
    def find(self, name: str) -> Ref | None:
        """The job of that name, or None."""

    def attempts(self, name: str) -> Mapping[int, Ref]:
        """The jobs of one intent by the number of the try: 1 for ``name``, 2 for ``name-2`` and so on.

        It looks for one name after the other, up to the first that is free. A provider from which the job of an
        earlier try can be deleted overrides it, or that gap hides the later ones and the work is done twice.
        """
        found: dict[int, Ref] = {}
        while (ref := self.find(attempt_name(name, len(found) + 1))) is not None:
            found[len(found) + 1] = ref
        return found

    @abstractmethod
    def status(self, ref: Ref) -> Status:
        """Where the job stands. Raises NotFound for a job that never was or was deleted."""

    @abstractmethod
    def logs(self, ref: Ref, *, follow: bool = False, tail: int | None = None) -> Iterator[LogLine]:
        """The job's output in order; with ``follow`` until the job has ended and all of it was given."""

    @abstractmethod
    def metrics(self, ref: Ref) -> list[MetricPoint]:
        """What the job logged, in order."""

    def usage(self, ref: Ref) -> list[MetricPoint]:
        """What the job used of its machines on average: ``cpu`` (cores) and ``memory`` (bytes) of each rank.

        None where the provider does not measure it.
        """
        return []

    @abstractmethod
    def outputs(self, ref: Ref) -> Mapping[str, str]:
        """Output name to path or URI, in a form that this provider takes as an input."""

    @abstractmethod
    def cancel(self, ref: Ref) -> None:
        """Ask the job to stop. Returns silently when it has ended already."""

    @abstractmethod
    def delete(self, ref: Ref) -> None:
        """Stop the job and delete what it left, models included. Returns silently when it is gone."""

    @abstractmethod
    def jobs(self, project: str | None = None) -> Iterator[Listed]:
        """The jobs in this scope, newest first."""

    @abstractmethod
    def model(self, ref: Ref) -> ModelInfo:
        """The model of a succeeded training job (``jobs`` URI) or of a ``models`` URI. Raises NotFound without one."""

    @abstractmethod
    def models(self, project: str | None = None) -> Iterator[ModelInfo]:
        """The model versions in this scope, newest first."""


class Deployer(ABC):
    """Serves models behind endpoints."""

    @abstractmethod
    def plan(self, request: DeployRequest) -> Plan:
        """What :meth:`deploy` would create. Creates nothing; raises what deploy would raise for bad input."""

    @abstractmethod
    def deploy(self, request: DeployRequest) -> Ref:
        """Create or update the endpoint and return at once. The same version again changes nothing.

        Raises Conflict where the endpoint is another project's: it would lose its model, and to that project's `down`.
        """

    @abstractmethod
    def find(self, name: str) -> Ref | None:
        """The endpoint of that name, or None."""

    @abstractmethod
    def status(self, ref: Ref) -> Status:
        """Where the endpoint stands. Raises NotFound when there is none."""

    @abstractmethod
    def predict(
        self, ref: Ref, body: bytes, *, content_type: str = "application/json", version: str | None = None
    ) -> Answer:
        """Send one request; ``version`` asks for one version rather than the traffic split.

        Raises InvalidRequest for what the model refuses, with its reason.
        """

    @abstractmethod
    def set_traffic(self, ref: Ref, shares: Mapping[str, float]) -> None:
        """Split traffic by version, in percent, 100 in all."""

    @abstractmethod
    def rollback(self, ref: Ref) -> None:
        """Give all traffic back to the version before. Raises Conflict when there is none."""

    @abstractmethod
    def logs(self, ref: Ref, *, follow: bool = False, tail: int | None = None) -> Iterator[LogLine]:
        """The replicas' output; with ``follow`` until the endpoint is deleted."""

    @abstractmethod
    def delete(self, ref: Ref) -> None:
        """Delete the endpoint and everything made for it. Returns silently when it is gone."""

    @abstractmethod
    def endpoints(self, project: str | None = None) -> Iterator[Listed]:
        """The endpoints in this scope."""


class Monitor(ABC):
    """Tells what went through an endpoint."""

    @abstractmethod
    def metrics(self, ref: Ref, *, since: float, until: float) -> list[MetricPoint]:
        """Requests, errors and latency per version between two epoch seconds, in the units of MetricPoint."""

    @abstractmethod
    def captured(self, ref: Ref, *, since: float, until: float) -> Iterator[Captured]:
        """The captured requests between two epoch seconds, oldest first; none where capture is off."""


class Provider(ABC):
    """A cloud, or this machine."""

    def __init__(self, info: ProviderInfo) -> None:
        self.info = info

    @property
    @abstractmethod
    def trainer(self) -> Trainer:
        """The training role."""

    @property
    @abstractmethod
    def deployer(self) -> Deployer:
        """The serving role."""

    @property
    @abstractmethod
    def monitor(self) -> Monitor:
        """The observing role."""

    @abstractmethod
    def capabilities(self) -> Mapping[Capability, Support]:
        """What works here, every capability listed."""

    @abstractmethod
    def check(self, requests: Iterable[Request] = ()) -> list[CheckResult]:
        """Whether a run would work: credentials, permissions, quota, disk. Creates nothing.

        Args:
            requests: what a run of the project would submit, made while it is iterated over: to be looked at once the
                provider is known to answer.
        """

    def close(self) -> None:  # noqa: B027 - most providers hold nothing
        """Release connections."""
