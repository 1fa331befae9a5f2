"""What SageMaker says of a job, in the common words."""

from __future__ import annotations

from datetime import UTC, datetime

import botocore.session
import pytest
from cloudops_sagemaker.logs import source
from cloudops_sagemaker.names import job_pattern, tags, tries, untagged
from cloudops_sagemaker.statuses import failure, job_phase, job_status

from cloudops.refs import Phase

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_every_state_of_the_service_model_is_known() -> None:
    model = botocore.session.get_session().get_service_model("sagemaker")
    states = {job_phase(status) for status in model.shape_for("TrainingJobStatus").enum}
    within = {job_phase("InProgress", state) for state in model.shape_for("SecondaryStatus").enum if state in RUNNING}
    assert Phase.UNKNOWN not in states | within


#: Those that a job in progress can have.
RUNNING = {
    "Starting", "LaunchingMLInstances", "PreparingTrainingStack", "Downloading", "DownloadingTrainingImage", "Training",
    "Uploading", "Interrupted", "Restarting", "Updating", "Pending",
}  # fmt: skip


@pytest.mark.parametrize(
    ("status", "secondary", "phase"),
    [
        ("InProgress", "Starting", Phase.STARTING),
        ("InProgress", "Training", Phase.RUNNING),
        ("InProgress", "Hibernating", Phase.UNKNOWN),
        ("Hibernating", "", Phase.UNKNOWN),
        ("Stopping", "Stopping", Phase.STOPPING),
        ("Stopped", "Stopped", Phase.CANCELLED),
        ("Stopped", "MaxRuntimeExceeded", Phase.FAILED),
        ("Stopped", "MaxWaitTimeExceeded", Phase.FAILED),
        ("Completed", "Completed", Phase.SUCCEEDED),
        ("Failed", "Failed", Phase.FAILED),
    ],
)
def test_phases(status: str, secondary: str, phase: Phase) -> None:
    assert job_phase(status, secondary) is phase


@pytest.mark.parametrize(
    ("text", "reason", "code"),
    [
        (
            "AlgorithmError: the command ended with exit code 7: x, exit code: 7",
            "the command ended with exit code 7: x",
            7,
        ),
        ("AlgorithmError: timeout after 0.5 s, exit code: 124", "timeout after 0.5 s", None),
        ("CapacityError: Unable to provision requested ML compute capacity", None, None),
        ("ClientError: Data download failed", None, None),
        ("AlgorithmError: , exit code: 137", "", 137),
        ("", "", None),
    ],
)
def test_a_failure_has_its_reason_and_exit_code(text: str, reason: str | None, code: int | None) -> None:
    assert failure(text) == (text if reason is None else reason, code)


def test_a_job_that_ran_out_of_time_failed_for_that_reason() -> None:
    described = {"TrainingJobStatus": "Stopped", "SecondaryStatus": "MaxRuntimeExceeded", "TrainingEndTime": NOW}
    status = job_status(described)
    assert (status.phase, status.ended) == (Phase.FAILED, NOW.timestamp())
    assert "timeout" in status.reason


def test_a_failure_without_a_reason_says_so() -> None:
    assert job_status({"TrainingJobStatus": "Failed"}).reason


def test_names_of_one_project_are_no_other_projects() -> None:
    name = "small-train-0123456789"
    assert job_pattern("small").fullmatch(name)
    assert job_pattern("small").fullmatch(f"{name}-12")
    assert not job_pattern("small").fullmatch(f"small-other-{name}")
    assert not job_pattern("small").fullmatch("small-other-train-0123456789")
    assert not job_pattern("small").fullmatch("small-train-by-hand")
    match = job_pattern(None).fullmatch("small-other-train-0123456789-3")
    assert match is not None
    assert match.groups() == ("small-other", "train", "3")
    assert tries(name).fullmatch(f"{name}-2")
    assert not tries(name).fullmatch(f"{name}0")


def test_tags_are_what_aws_takes() -> None:
    found = tags({"model": "x" * 300, "odd": "a{b}|c", "empty": ""}, {"cost": "42"})
    assert {tag["Key"] for tag in found} == {"cost", "cloudops:model", "cloudops:odd"}
    assert all(len(tag["Value"]) <= 256 for tag in found)
    assert untagged(found) == {"model": "x" * 256, "odd": "a_b__c"}


def test_a_stream_is_a_rank_or_an_instance() -> None:
    assert source("small-train-0123456789/algo-3-1700000000") == "rank-2"
    assert source("main/i-0abc") == "i-0abc"
