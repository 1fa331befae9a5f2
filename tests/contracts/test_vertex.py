"""The Vertex AI provider passes the contracts: offline by default, on the real cloud with CLOUDOPS_LIVE=vertex.

Live, the settings of the target are JSON in CLOUDOPS_LIVE_SETTINGS, such as {"project": "...", "location": "..."}.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

import pytest
from cloudops_vertex.storage import Storage

from cloudops.offline import OfflineCloud
from cloudops.refs import Ref
from cloudops.testing import ErrorContract, Fault, LifecycleContract, Rig, TrainContract

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


class VertexRig(Rig):
    """Vertex AI, offline or live.

    Args:
        folder: for project folders.
        cloud: the offline cloud; None for the real one.
    """

    name = "vertex"

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
        elif fault is Fault.UNKNOWN_STATE and ref is not None:
            number = self.cloud.fault("unknown_state", on="aiplatform:custom-job", resource=ref.id, times=None)
        else:
            self.cannot(f"make {fault} happen to a call: Vertex AI tells it of jobs only")
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
    with OfflineCloud() as cloud, cloud.active(), VertexRig(folder, cloud) as rig:
        yield rig


class TestTrain(TrainContract):
    pass


class TestErrors(ErrorContract):
    pass


class TestLifecycle(LifecycleContract):
    pass
