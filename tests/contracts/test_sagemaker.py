"""The SageMaker provider passes the contracts: offline by default, on the real cloud with CLOUDOPS_LIVE=sagemaker.

Live, the settings of the target are JSON in CLOUDOPS_LIVE_SETTINGS, such as {"region": "eu-west-1", "role": "..."}.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from cloudops_sagemaker.policy import CALLS
from cloudops_sagemaker.storage import Storage

from cloudops.offline import OfflineCloud
from cloudops.refs import Ref
from cloudops.testing import (
    DeployContract,
    ErrorContract,
    Fault,
    LifecycleContract,
    MonitorContract,
    Rig,
    TrainContract,
)

from .in_s3 import in_s3

if TYPE_CHECKING:
    from pathlib import Path

    from cloudops.session import Session

_LIVE = os.environ.get("CLOUDOPS_LIVE") == "sagemaker"
#: What a rig can make happen to the next calls, in the words of the offline cloud.
_ANSWERS = {
    Fault.THROTTLED: "throttling",
    Fault.UNAVAILABLE: "server_error",
    Fault.DENIED: "access_denied",
    Fault.QUOTA: "quota",
    Fault.EXPIRED: "expired_credentials",
    Fault.NO_CREDENTIALS: "missing_credentials",
}


class SageMakerRig(Rig):
    """SageMaker, offline or live.

    Args:
        folder: for project folders.
        cloud: the offline cloud; None for the real one.
    """

    name = "sagemaker"
    big_logs = True
    blind_to_health = "SageMaker undoes a canary by the alarm on failed requests, and has no metric of its health"
    scaling: Mapping[str, Any] = MappingProxyType({"target_invocations": 10})
    between_bursts = 20.0

    def __init__(self, folder: Path, cloud: OfflineCloud | None = None) -> None:
        super().__init__(folder)
        self.cloud = cloud
        if cloud is None:
            self.settings = json.loads(os.environ.get("CLOUDOPS_LIVE_SETTINGS", "{}"))
            self.timeout, self.poll = 1800.0, 5.0
            self.shortest_timeout, self.bake, self.readiness = 60.0, 120.0, 300.0
            self.timeout_slack, self.quiet = 120.0, 30.0

    def absent(self, session: Session, kind: str) -> Ref:
        provider: Any = session.provider
        return Ref("sagemaker", provider._client.scope, kind, f"{session.project}-absent")

    def advance(self, seconds: float) -> None:
        if self.cloud is None:
            super().advance(seconds)
        else:
            self.cloud.advance(seconds)

    def stored(self, files: Mapping[str, str]) -> AbstractContextManager[str]:
        provider: Any = self.session().provider
        bucket = provider._client.bucket
        Storage(provider._client).ensure(bucket)
        return in_s3(files, bucket, empty=self.cloud is None)

    @contextlib.contextmanager
    def inject(self, fault: Fault, ref: Ref | None = None) -> Iterator[None]:
        if self.cloud is None:
            self.cannot(f"make {fault} happen in the real cloud")
        if fault in _ANSWERS:
            number = self.cloud.fault(_ANSWERS[fault], on="sagemaker:*", times=None)
        elif fault in (Fault.DROPPED_BEFORE, Fault.DROPPED_AFTER):
            number = self.cloud.fault(str(fault), on="sagemaker:CreateTrainingJob")
        elif fault is Fault.INTERRUPTION and ref is not None:
            number = self.cloud.fault("spot_interruption", on="sagemaker:training-job", resource=ref.id)
        elif fault is Fault.UNKNOWN_STATE and ref is not None:
            number = self.cloud.fault("unknown_state", on="sagemaker:*", resource=ref.id, times=None)
        else:
            self.cannot(f"make {fault} happen to a call: SageMaker tells it of jobs and endpoints only")
        try:
            yield
        finally:
            self.cloud.remove_fault(number)


@pytest.fixture(scope="class")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SageMakerRig]:
    folder = tmp_path_factory.mktemp("contract")
    if _LIVE:
        with SageMakerRig(folder) as rig:
            yield rig
        return
    # A cloud for each class: one moves its clock on, another compares times with this machine's.
    with OfflineCloud() as cloud, cloud.active():
        with SageMakerRig(folder, cloud) as rig:
            yield rig
        made = {call["operation"] for call in cloud.calls("sagemaker") if call["principal"] == "caller"}
    known = {call.replace("sagemaker-runtime:", "sagemaker:") for call in CALLS}
    assert made - known == set(), "calls that the IAM policy in docs/sagemaker.md does not allow"


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
