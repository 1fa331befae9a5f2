"""The three roles on Vertex AI; two of them refuse, with a reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NoReturn

from cloudops.errors import NotFound, UnsupportedFeature
from cloudops.provider import (
    Answer,
    Capability,
    Captured,
    CheckResult,
    Deployer,
    DeployRequest,
    Monitor,
    Plan,
    Provider,
    ProviderContext,
    Request,
    Support,
)
from cloudops.refs import Listed, LogLine, MetricPoint, Ref, Status

from .capabilities import HINT, NOT_SERVED
from .client import Client
from .trainer import VertexTrainer


def create(context: ProviderContext) -> VertexProvider:
    """Vertex AI with the settings of a target, or in the project and location that a URI names."""
    return VertexProvider(Client(context.settings, context.scope, context.root))


class VertexProvider(Provider):
    """Custom training jobs."""

    def __init__(self, client: Client) -> None:
        from .plugin import cloudops_provider

        super().__init__(cloudops_provider())
        self._client = client
        self._trainer = VertexTrainer(client)

    @property
    def trainer(self) -> VertexTrainer:
        """Jobs."""
        return self._trainer

    @property
    def deployer(self) -> Deployer:
        """Refuses: see :data:`cloudops_vertex.capabilities.NOT_SERVED`."""
        return NoDeployer()

    @property
    def monitor(self) -> Monitor:
        """Refuses likewise."""
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


def _refuse() -> NoReturn:
    raise UnsupportedFeature(NOT_SERVED, provider="vertex", hint=HINT)


class NoDeployer(Deployer):
    """There are no endpoints: what would make one is refused, and none is found."""

    def plan(self, request: DeployRequest) -> Plan:
        """Refused."""
        _refuse()

    def deploy(self, request: DeployRequest) -> Ref:
        """Refused."""
        _refuse()

    def find(self, name: str) -> Ref | None:
        """None: ``cloudops down`` and ``status`` look here."""
        return None

    def status(self, ref: Ref) -> Status:
        """Raises NotFound."""
        raise NotFound(f"the provider vertex has no endpoint {ref.id}: {NOT_SERVED}", provider="vertex", ref=ref)

    def predict(
        self, ref: Ref, body: bytes, *, content_type: str = "application/json", version: str | None = None
    ) -> Answer:
        """Refused."""
        _refuse()

    def set_traffic(self, ref: Ref, shares: Mapping[str, float]) -> None:
        """Refused."""
        _refuse()

    def rollback(self, ref: Ref) -> None:
        """Refused."""
        _refuse()

    def logs(self, ref: Ref, *, follow: bool = False, tail: int | None = None) -> Iterator[LogLine]:
        """Raises NotFound."""
        self.status(ref)
        return iter(())

    def delete(self, ref: Ref) -> None:
        """There is nothing to delete."""

    def endpoints(self, project: str | None = None) -> Iterator[Listed]:
        """None."""
        return iter(())


class NoMonitor(Monitor):
    """There is nothing to observe."""

    def metrics(self, ref: Ref, *, since: float, until: float) -> list[MetricPoint]:
        """Refused."""
        _refuse()

    def captured(self, ref: Ref, *, since: float, until: float) -> Iterator[Captured]:
        """Refused."""
        _refuse()
