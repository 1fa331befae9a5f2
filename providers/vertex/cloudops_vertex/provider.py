"""The three roles on Vertex AI; that which observes refuses, with a reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from threading import RLock
from typing import TYPE_CHECKING

from cloudops.errors import UnsupportedFeature
from cloudops.provider import (
    Capability,
    Captured,
    CheckResult,
    Monitor,
    Provider,
    ProviderContext,
    Request,
    Support,
)
from cloudops.refs import MetricPoint, Ref

from .client import Client
from .trainer import VertexTrainer

if TYPE_CHECKING:
    from .deployer import VertexDeployer


def create(context: ProviderContext) -> VertexProvider:
    """Vertex AI with the settings of a target, or in the project and location that a URI names."""
    return VertexProvider(Client(context.settings, context.scope, context.root))


class VertexProvider(Provider):
    """Custom training jobs and endpoints."""

    def __init__(self, client: Client) -> None:
        from .plugin import cloudops_provider

        super().__init__(cloudops_provider())
        self._client = client
        self._trainer = VertexTrainer(client)
        self._deployer: VertexDeployer | None = None
        self._lock = RLock()

    @property
    def trainer(self) -> VertexTrainer:
        """Jobs."""
        return self._trainer

    @property
    def deployer(self) -> VertexDeployer:
        """Endpoints."""
        with self._lock:
            if self._deployer is None:
                from .deployer import VertexDeployer

                self._deployer = VertexDeployer(self._client)
            return self._deployer

    @property
    def monitor(self) -> Monitor:
        """Refuses: see :mod:`cloudops_vertex.capabilities`."""
        return NoMonitor()

    def capabilities(self) -> Mapping[Capability, Support]:
        """See :mod:`cloudops_vertex.capabilities`."""
        from .capabilities import capabilities

        return capabilities()

    def check(self, requests: Iterable[Request] = ()) -> list[CheckResult]:
        """Location, credentials, project, bucket, jobs, machines."""
        from .check import check

        return check(self._client, requests)

    def close(self) -> None:
        """Release connections."""
        self._client.close()


class NoMonitor(Monitor):
    """There is nothing to observe."""

    def metrics(self, ref: Ref, *, since: float, until: float) -> list[MetricPoint]:
        """Refused."""
        raise _refusal()

    def captured(self, ref: Ref, *, since: float, until: float) -> Iterator[Captured]:
        """Refused."""
        raise _refusal()


def _refusal() -> UnsupportedFeature:
    from .capabilities import capabilities

    support = capabilities()[Capability.MONITOR]
    return UnsupportedFeature(support.reason, provider="vertex", hint=support.hint)
