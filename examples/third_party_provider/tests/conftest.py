"""The rig: how the contracts of cloudops get hold of this provider."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudops.refs import Ref
from cloudops.session import Session
from cloudops.testing import Rig


class SandboxRig(Rig):
    name = "sandbox"

    def absent(self, session: Session, kind: str) -> Ref:
        return Ref("sandbox", f"{session.root}/.sandbox".strip("/"), kind, "never-was")


@pytest.fixture(scope="class")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with SandboxRig(tmp_path_factory.mktemp("sandbox")) as rig:
        yield rig
