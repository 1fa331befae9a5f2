"""The local provider's rig."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from cloudops_local.layout import Layout

from cloudops.engine import job as engine_job
from cloudops.refs import Ref
from cloudops.session import Session
from cloudops.testing import Fault, Rig


class LocalRig(Rig):
    name = "local"
    big_logs = True

    def absent(self, session: Session, kind: str) -> Ref:
        return Ref("local", str(session.root).strip("/"), kind, "never-was")

    @contextlib.contextmanager
    def inject(self, fault: Fault, ref: Ref | None = None) -> Iterator[None]:
        if ref is None or fault not in (Fault.INTERRUPTION, Fault.UNKNOWN_STATE):
            self.cannot(f"inject {fault}")
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
