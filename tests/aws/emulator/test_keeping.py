"""What is there after a start that was there before it, and what is not there after a kill."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .rig import Rig


def test_everything_is_there_again(tmp_path):
    large = os.urandom(300_000)
    rig = Rig(tmp_path, keep=True)
    rig.put("large", large)
    rig.put("small/é", "1")
    rig.client("iam").create_role(RoleName="mine", AssumeRolePolicyDocument='{"Statement": []}')
    tags = [{"Key": "a", "Value": "b"}]
    metric = {"MetricDefinitions": [{"Name": "loss", "Regex": "loss=(.*)"}]}
    done = rig.run("echo loss=0.5; echo m > /opt/ml/model/m", Tags=tags, Algorithm=metric)
    running = rig.submit("echo up; sleep 600")
    rig.wait_for_log(running, "up")
    rig.close()

    again = Rig(tmp_path, keep=True, fresh=False)
    try:
        assert again.text("large") == large
        assert again.text("small/é") == b"1"
        assert again.client("iam").get_role(RoleName="mine")["Role"]["RoleName"] == "mine"
        job = again.describe(done["TrainingJobName"])
        assert job["CreationTime"] == done["CreationTime"]
        assert again.sm.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"] == tags
        assert again.log(done["TrainingJobName"]) == ["loss=0.5"]
        assert [one["MetricName"] for one in again.client("cloudwatch").list_metrics()["Metrics"]].count("loss") == 1
        job = again.describe(running)
        assert job["TrainingJobStatus"] == "Failed"
        assert "closed while the job ran" in job["FailureReason"]
        assert again.run(name="another")["TrainingJobStatus"] == "Completed"
    finally:
        again.close()


def test_a_job_that_waited_for_a_worker_has_failed_afterwards(tmp_path):
    rig = Rig(tmp_path, keep=True)
    names = [rig.submit("sleep 600") for _ in range(12)]
    rig.close()
    again = Rig(tmp_path, keep=True, fresh=False)
    try:
        assert {again.describe(name)["TrainingJobStatus"] for name in names} == {"Failed"}
    finally:
        again.close()


def test_state_of_other_versions_is_refused(tmp_path):
    import pickle

    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "state").write_bytes(pickle.dumps("Python 3.0 with moto 1.0"))
    with pytest.raises(ValueError, match=r"written by Python 3\.0 with moto 1\.0"):
        Rig(tmp_path, keep=True)


def test_a_job_dies_with_an_emulator_that_is_killed(tmp_path):
    (tmp_path / "the_rig.py").write_bytes(Path(__file__).with_name("rig.py").read_bytes())
    program = "trap '' TERM; (trap '' TERM; exec sleep 600) & echo up $$ $!; wait; sleep 600"
    script = f"""
import sys, time
from pathlib import Path
from the_rig import Rig
rig = Rig(Path(sys.argv[1]))
name = rig.submit({program!r})
rig.wait_for_log(name, "up")
print(rig.log(name)[0], flush=True)
time.sleep(600)
"""
    command = [sys.executable, "-c", script, str(tmp_path / "emulator")]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        pids = [int(pid) for pid in process.stdout.readline().split()[1:]]
        process.kill()
    assert len(pids) == 2
    deadline = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in pids) or (tmp_path / "emulator").exists():
        assert time.monotonic() < deadline
        time.sleep(0.1)
