"""Traffic that is split, and given back to one version, against the offline cloud."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudops.handles import Endpoint
from cloudops.testing import Rig
from cloudops.testing.projects import deployment

pytestmark = pytest.mark.usefixtures("cloudops_offline_session")


class SageMakerRig(Rig):
    name = "sagemaker"


@pytest.fixture
def rig(tmp_path: Path) -> Any:
    with SageMakerRig(tmp_path) as rig:
        yield rig


def _shift(rig: Rig, endpoint: Endpoint, shares: dict[str, float]) -> None:
    endpoint.traffic(shares)
    endpoint.wait(rig.timeout, poll=rig.poll)
    assert endpoint.status().traffic == {version: share for version, share in shares.items() if share}


def test_a_split_is_ended_and_a_canary_follows_and_a_split_that_is_gone_back_to_still_shifts(rig: SageMakerRig) -> None:
    session = rig.session()
    versions: list[str] = []
    for model in ("two", "three"):
        endpoint = rig.deploy(session, deployment(session.project, model))
        versions += endpoint.status().traffic
    first, second = versions
    _shift(rig, endpoint, {first: 50, second: 50})
    rig.deploy(session, deployment(session.project, "five"))
    endpoint.rollback()  # to the split, whose versions have no configurations of their own any more
    endpoint.wait(rig.timeout, poll=rig.poll)
    _shift(rig, endpoint, {first: 20, second: 80})
    _shift(rig, endpoint, {first: 0, second: 100})
    _shift(rig, endpoint, {second: 100})
    assert endpoint.predict([[1, 2]]) == [9]
    canary = {"canary": "50%", "bake": "1s"}
    rig.deploy(session, deployment(session.project, "five", traffic=canary))
    assert endpoint.predict([[1, 2]]) == [15]
