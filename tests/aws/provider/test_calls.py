"""How many calls a look takes: a hundred jobs a page, not one by one."""

from __future__ import annotations

from pathlib import Path

import cloudops
from cloudops.offline import OfflineCloud
from cloudops.testing.projects import deployment, job, write_project


def test_a_look_at_all_jobs_asks_for_none_of_them(tmp_path: Path, cloudops_offline: OfflineCloud) -> None:
    write_project(tmp_path)
    session = cloudops.connect(provider="sagemaker", root=tmp_path, project="small")
    cloudops_offline.fault("no_capacity", on="sagemaker:*", times=None, seconds=1e6)
    for number in range(12):
        session.train(job("nothing", params={"n": number}))
    session.deploy(deployment("small"))
    before = len(cloudops_offline.calls())
    assert len(list(session.jobs())) == 12
    assert len(list(session.endpoints())) == 1
    made = [call["operation"] for call in cloudops_offline.calls()[before:]]
    assert [name for name in made if name.startswith("sagemaker:Describe")] == []
    assert len(made) <= 8
