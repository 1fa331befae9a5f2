"""The local provider passes every contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudops.testing import DeployContract, ErrorContract, LifecycleContract, MonitorContract, Rig, TrainContract

from .local_rig import LocalRig


@pytest.fixture(scope="class")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with LocalRig(tmp_path_factory.mktemp("local")) as rig:
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
