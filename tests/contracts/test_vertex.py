"""The Vertex AI provider passes the contracts: offline by default, on the real cloud with CLOUDOPS_LIVE=vertex.

Live, the settings of the target are JSON in CLOUDOPS_LIVE_SETTINGS, such as {"project": "...", "location": "..."}.
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
from cloudops_vertex.policy import CALLS, JOB
from cloudops_vertex.storage import Storage

from cloudops.offline import OfflineCloud
from cloudops.refs import Ref
from cloudops.testing import DeployContract, ErrorContract, Fault, LifecycleContract, Rig, TrainContract

from .in_gcs import in_gcs

if TYPE_CHECKING:
    from pathlib import Path

    from cloudops.session import Session

_LIVE = os.environ.get("CLOUDOPS_LIVE") == "vertex"
#: What a rig can make happen to the next calls, in the words of the offline cloud.
_ANSWERS = {
    Fault.THROTTLED: "throttling",
    Fault.UNAVAILABLE: "server_error",
    Fault.DENIED: "access_denied",
    Fault.QUOTA: "quota",
    Fault.EXPIRED: "expired_credentials",
    Fault.NO_CREDENTIALS: "missing_credentials",
}


_NAMES = {
    **{f"{verb}CustomJob": f"aiplatform.customJobs.{verb.lower()}" for verb in ("Create", "Get", "Cancel", "Delete")},
    "ListCustomJobs": "aiplatform.customJobs.list",
    "ListLogEntries": "logging.entries.list",
    "ListTimeSeries": "monitoring.timeSeries.list",
    **{f"{verb}Endpoint": f"aiplatform.endpoints.{verb.lower()}" for verb in ("Create", "Get", "Update", "Delete")},
    **{f"{verb}Model": f"aiplatform.models.{verb.lower()}" for verb in ("Upload", "Get", "Update", "Delete")},
    "ListEndpoints": "aiplatform.endpoints.list",
    "ListModels": "aiplatform.models.list",
    "DeployModel": "aiplatform.endpoints.deploy",
    "UndeployModel": "aiplatform.endpoints.undeploy",
    "RawPredict": "aiplatform.endpoints.predict",
    "Predict": "aiplatform.endpoints.predict",
    "GetOperation": "aiplatform.operations.get",
    "ListOperations": "aiplatform.operations.list",
    "CreateSecret": "secretmanager.secrets.create",
    "AddSecretVersion": "secretmanager.secrets.addVersion",
    "DeleteSecret": "secretmanager.secrets.delete",
    "AccessSecretVersion": "secretmanager.versions.access",
}


class VertexRig(Rig):
    """Vertex AI, offline or live.

    Args:
        folder: for project folders.
        cloud: the offline cloud; None for the real one.
    """

    name = "vertex"
    scaling: Mapping[str, Any] = MappingProxyType({"target_requests": 10})

    def __init__(self, folder: Path, cloud: OfflineCloud | None = None) -> None:
        super().__init__(folder)
        self.cloud = cloud
        if cloud is None:
            self.settings = json.loads(os.environ.get("CLOUDOPS_LIVE_SETTINGS", "{}"))
            self.timeout, self.poll = 3600.0, 10.0
            self.shortest_timeout, self.timeout_slack, self.quiet = 60.0, 120.0, 30.0

    def absent(self, session: Session, kind: str) -> Ref:
        provider: Any = session.provider
        return Ref("vertex", provider._client.scope, kind, f"{session.project}-absent")

    def advance(self, seconds: float) -> None:
        if self.cloud is None:
            super().advance(seconds)
        else:
            self.cloud.advance(seconds)

    def stored(self, files: Mapping[str, str]) -> AbstractContextManager[str]:
        provider: Any = self.session().provider
        storage = Storage(provider._client)
        storage.ensure(provider._client.bucket)
        return in_gcs(files, storage, provider._client.bucket)

    @contextlib.contextmanager
    def inject(self, fault: Fault, ref: Ref | None = None) -> Iterator[None]:
        if self.cloud is None:
            self.cannot(f"make {fault} happen in the real cloud")
        if fault in _ANSWERS:
            number = self.cloud.fault(_ANSWERS[fault], on="aiplatform:*", times=None)
        elif fault in (Fault.DROPPED_BEFORE, Fault.DROPPED_AFTER):
            number = self.cloud.fault(str(fault), on="aiplatform:CreateCustomJob")
        elif fault is Fault.INTERRUPTION and ref is not None:
            number = self.cloud.fault("spot_interruption", on="aiplatform:custom-job", resource=ref.id)
        else:
            self.cannot(f"make {fault} happen to a call: the offline cloud does it to jobs, and when they start or end")
        try:
            yield
        finally:
            self.cloud.remove_fault(number)


@pytest.fixture(scope="class")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VertexRig]:
    folder = tmp_path_factory.mktemp("contract")
    if _LIVE:
        with VertexRig(folder) as rig:
            yield rig
        return
    # A cloud for each class: one moves its clock on, another compares times with this machine's.
    with OfflineCloud() as cloud, cloud.active():
        with VertexRig(folder, cloud) as rig:
            yield rig
        calls = cloud.calls("vertex")
    by_us = {_named(call["operation"]) for call in calls if call["principal"].startswith("offline@")}
    assert by_us - set(CALLS) == {"iamcredentials.GET"}, "calls that the role in docs/vertex.md does not allow"
    by_jobs = {_named(call["operation"]) for call in calls if "@gcp-sa-aiplatform-cc." in call["principal"]}
    allowed = {each for need in JOB for each in need.permissions}
    needed = {each for call in by_jobs for each in (CALLS[call].permissions if call in CALLS else [call])}
    assert needed - allowed == set(), "calls of jobs that the role of their account does not allow"


def _named(operation: str) -> str:
    """What the offline cloud calls a call, as the table of permissions does.

    ``iamcredentials.GET`` is Google's library, which asks where an account may be used; nobody needs to allow it.
    """
    service, _, name = operation.partition(":")
    return _NAMES.get(name, f"{service}.{name}")


class TestTrain(TrainContract):
    pass


class TestDeploy(DeployContract):
    pass


class TestErrors(ErrorContract):
    pass


class TestLifecycle(LifecycleContract):
    pass
