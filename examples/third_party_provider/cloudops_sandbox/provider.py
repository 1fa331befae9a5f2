"""The three roles behind one object."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from cloudops.provider import Capability, CheckResult, Provider, ProviderContext, Request, Support

from .deployer import SandboxDeployer
from .monitor import SandboxMonitor
from .options import SandboxTarget, capabilities
from .plugin import cloudops_provider
from .trainer import SandboxTrainer


def create(context: ProviderContext) -> SandboxProvider:
    """From the settings of a target, or from the scope of a URI that somebody attaches to."""
    if context.scope is not None:
        return SandboxProvider(Path("/" + context.scope))
    settings: SandboxTarget = context.settings
    return SandboxProvider(context.root.absolute() / settings.folder)


class SandboxProvider(Provider):
    """Everything that it knows is in one folder."""

    def __init__(self, base: Path) -> None:
        super().__init__(cloudops_provider())
        self._base = base
        self._trainer, self._deployer = SandboxTrainer(base), SandboxDeployer(base)

    @property
    def trainer(self) -> SandboxTrainer:
        """Jobs."""
        return self._trainer

    @property
    def deployer(self) -> SandboxDeployer:
        """Endpoints."""
        return self._deployer

    @property
    def monitor(self) -> SandboxMonitor:
        """Counts."""
        return SandboxMonitor(self._deployer)

    def capabilities(self) -> Mapping[Capability, Support]:
        """See :mod:`.options`."""
        return capabilities()

    def check(self, requests: Iterable[Request] = ()) -> list[CheckResult]:
        """Whether the folder can be written to; creates nothing."""
        there = next(path for path in (self._base, *self._base.parents) if path.exists())
        return [CheckResult("folder", os.access(there, os.W_OK), str(self._base), "choose another folder")]
