"""The provider passes every contract that cloudops ships, as far as it declares to."""

from __future__ import annotations

from cloudops.testing import DeployContract, ErrorContract, LifecycleContract, MonitorContract, TrainContract


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
