"""The provider passes every contract that cloudops ships, as far as it declares to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudops.refs import Ref
from cloudops.session import Session
from cloudops.testing import (
    DeployContract,
    ErrorContract,
    LifecycleContract,
    MonitorContract,
    Rig,
    TrainContract,
)


class SandboxRig(Rig):
    name = "sandbox"

    def absent(self, session: Session, kind: str) -> Ref:
        return Ref("sandbox", f"{session.root}/.sandbox".strip("/"), kind, "never-was")


@pytest.fixture(scope="class")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with SandboxRig(tmp_path_factory.mktemp("sandbox")) as rig:
        yield rig


class TestTrain(TrainContract):
    pass


class TestDeploy(DeployContract):
    pass


class TestMonitor(MonitorContract):
    pass


class TestErrors(ErrorContract):
    pass


class TestLifecycle(LifecycleContract):
    pass
