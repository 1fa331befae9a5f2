"""``cloudops check`` knows whether the account may have the machines of the project's steps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import cloudops
from cloudops.offline import OfflineCloud
from cloudops.provider import CheckResult
from cloudops.testing.projects import configure, write_project

Check = Callable[..., list[CheckResult]]


@pytest.fixture
def check(tmp_path: Path, cloudops_offline: OfflineCloud) -> Check:
    def check(**steps: object) -> list[CheckResult]:
        write_project(tmp_path / "project")
        configure(tmp_path / "project", name="small", **steps)
        session = cloudops.connect(provider="sagemaker", root=tmp_path / "project")
        assert session.created() == []
        return [result for result in session.check() if result.name == "quota"]

    return check


def step(**resources: object) -> dict[str, object]:
    return {"command": "python job.py nothing", "code": "code", "resources": resources}


def test_the_largest_step_of_each_kind_counts(check: Check) -> None:
    deploy = {"endpoint": "small", "model": "models/two", "predictor": "serve/predictor.py", "max_replicas": 3}
    found = check(prepare=step(), train=step(num_nodes=2), deploy=deploy)
    assert [(result.ok, result.detail) for result in found] == [
        (True, "ml.m5.large for endpoint usage: 3 of 1000 that the account may have"),
        (True, "ml.m5.large for training job usage: 2 of 1000 that the account may have"),
    ]


def test_a_machine_that_the_account_may_not_have(check: Check) -> None:
    [found] = check(train=step(accelerators="A100:8", use_spot=True))
    assert not found.ok
    assert found.detail == "ml.p4d.24xlarge for spot training job usage: 1 of 0 that the account may have"
    assert "Service Quotas" in found.hint


def test_quotas_that_may_not_be_seen_are_not_known(check: Check, cloudops_offline: OfflineCloud) -> None:
    cloudops_offline.fault("access_denied", on="service-quotas:*", times=None)
    [found] = check(train=step())
    assert found.ok
    assert "not known" in found.detail
    assert "servicequotas:ListServiceQuotas" in found.detail
