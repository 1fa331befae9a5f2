"""The three roles on SageMaker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cloudops.provider import Capability, CheckResult, Provider, ProviderContext, Request, Support

from .client import Client
from .deployer import SageMakerDeployer
from .monitor import SageMakerMonitor
from .trainer import SageMakerTrainer


def create(context: ProviderContext) -> SageMakerProvider:
    """SageMaker with the settings of a target, or in the account and region that a URI names."""
    return SageMakerProvider(Client(context.settings, context.scope, context.root))


class SageMakerProvider(Provider):
    """Managed training jobs and endpoints."""

    def __init__(self, client: Client) -> None:
        from .plugin import cloudops_provider

        super().__init__(cloudops_provider())
        self._client = client
        self._trainer = SageMakerTrainer(client)
        self._deployer = SageMakerDeployer(client)
        self._monitor = SageMakerMonitor(client)

    @property
    def trainer(self) -> SageMakerTrainer:
        """Jobs."""
        return self._trainer

    @property
    def deployer(self) -> SageMakerDeployer:
        """Endpoints."""
        return self._deployer

    @property
    def monitor(self) -> SageMakerMonitor:
        """Metrics and captured requests."""
        return self._monitor

    def capabilities(self) -> Mapping[Capability, Support]:
        """See :mod:`cloudops_sagemaker.capabilities`."""
        from .capabilities import capabilities

        return capabilities()

    def check(self, requests: Iterable[Request] = ()) -> list[CheckResult]:
        """Credentials, region, role, bucket, images."""
        from .check import check

        return check(self._client, requests)

    def close(self) -> None:
        """Release connections."""
        self._client.close()
