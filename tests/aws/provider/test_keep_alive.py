"""``overrides.sagemaker.train.keep_alive``, on the offline cloud."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cloudops.testing import Rig

if TYPE_CHECKING:
    from cloudops.offline import OfflineCloud

PROJECT = """\
name: keeper
provider: sagemaker
train: {command: python job.py nothing, code: code}
overrides: {sagemaker: {train: {keep_alive: 10m}}}
"""


class SageMaker(Rig):
    name = "sagemaker"


def test_a_second_job_runs_on_the_machines_of_the_first(cloudops_offline: OfflineCloud, tmp_path: Path) -> None:
    import boto3

    with SageMaker(tmp_path) as rig:
        root = rig.project()
        (root / "cloudops.yaml").write_text(PROJECT)
        session = rig.session(root=root)
        first = rig.train(session, None)
        [pool] = [one for one in cloudops_offline.resources() if one.kind == "warm-pool"]
        assert (pool.name, pool.state) == (first.ref.id, "Available")
        second = rig.train(session, None, new=True)
        sm = boto3.client("sagemaker")
        found = sm.describe_training_job(TrainingJobName=first.ref.id)["WarmPoolStatus"]
        assert (found["Status"], found["ReusedByJob"]) == ("Reused", second.ref.id)
        # A job whose machines are kept is deleted all the same, and they are given back.
        assert [one.name for one in cloudops_offline.resources() if one.kind == "warm-pool"] == [second.ref.id]
        second.delete()
        first.delete()
        assert [one for one in cloudops_offline.resources() if one.kind in ("warm-pool", "training-job")] == []
