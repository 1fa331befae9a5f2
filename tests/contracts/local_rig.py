"""The local provider's rig."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from cloudops_local.layout import Layout

from cloudops.engine import job as engine_job
from cloudops.offline import OfflineCloud
from cloudops.refs import Ref
from cloudops.session import Session
from cloudops.testing import Fault, Rig

from .in_s3 import in_s3


class LocalRig(Rig):
    name = "local"
    big_logs = True

    def absent(self, session: Session, kind: str) -> Ref:
        return Ref("local", str(session.root).strip("/"), kind, "never-was")

    @contextlib.contextmanager
    def stored(self, files: Mapping[str, str]) -> Iterator[str]:
        import boto3

        with OfflineCloud() as cloud, cloud.active():
            boto3.client("s3").create_bucket(Bucket="contract")
            with in_s3(files, "contract") as prefix:
                yield prefix

    @contextlib.contextmanager
    def elsewhere(self) -> Iterator[Rig]:
        with OfflineCloud() as cloud, cloud.active(), Rig(self.folder) as other:
            other.name = "sagemaker"
            yield other

    @contextlib.contextmanager
    def inject(self, fault: Fault, ref: Ref | None = None) -> Iterator[None]:
        if ref is None or fault not in (Fault.INTERRUPTION, Fault.UNKNOWN_STATE):
            self.cannot(f"inject {fault}")
        if ref.kind != "jobs":
            self.cannot(f"inject {fault} into {ref.kind}")
        run = Layout(Path("/" + ref.scope)).job(ref.id).run
        if fault is Fault.INTERRUPTION:
            assert engine_job.interrupt(run)
            yield
            return
        state = run / "state.json"
        before = state.read_text()
        state.write_text(json.dumps({**json.loads(before), "phase": "hibernating"}))
        try:
            yield
        finally:
            state.write_text(before)
