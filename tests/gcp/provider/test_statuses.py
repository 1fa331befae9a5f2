"""What Vertex AI says of a job, in the common words."""

from __future__ import annotations

from typing import Any

import pytest
from cloudops_vertex import sdk
from cloudops_vertex.statuses import job_phase, job_status, phase_of, seconds

from cloudops.refs import Phase

_EXITED = (
    "The replica workerpool0-0 exited with a non-zero status of {}. Termination reason: Error.\n"
    "To find out more about why your job exited please check the logs: https://console.cloud.google.com/logs/x"
)


def test_every_state_of_the_service_has_a_phase() -> None:
    states = sdk.imported("google.cloud.aiplatform_v1.types.job_state").JobState
    unknown = {state.name for state in states if job_phase(state.name) is Phase.UNKNOWN}
    # The last is one of hyperparameter tuning; of a job it would be neither an end nor a success that cloudops knows.
    assert unknown == {"JOB_STATE_UNSPECIFIED", "JOB_STATE_PARTIALLY_SUCCEEDED"}
    assert job_phase("JOB_STATE_INVENTED") is Phase.UNKNOWN


def described(state: str, message: str = "", code: int = 3, **more: Any) -> dict[str, Any]:
    error = {"error": {"code": code, "message": message}} if message else {}
    return {"state": f"JOB_STATE_{state}", "createTime": "2026-11-25T09:00:00Z", **error, **more}


@pytest.mark.parametrize(
    ("job", "failure", "phase", "reason", "code"),
    [
        (described("QUEUED"), None, Phase.PENDING, "waits for quota, or for its turn", None),
        (described("SUCCEEDED"), None, Phase.SUCCEEDED, "", 0),
        (described("CANCELLED"), None, Phase.CANCELLED, "cancelled", None),
        (described("FAILED"), None, Phase.FAILED, "Vertex AI tells no reason", None),
        (
            described("FAILED", _EXITED.format(77)),
            None,
            Phase.FAILED,
            "The replica workerpool0-0 exited with a non-zero status of 77. Termination reason: Error.",
            77,
        ),
        (
            described("FAILED", _EXITED.format(1)),
            {"code": 139, "reason": "the command ended with exit code 139"},
            Phase.FAILED,
            "the command ended with exit code 139",
            139,
        ),
        (
            described("FAILED", _EXITED.format(124)),
            {"code": 124, "reason": "timeout after 5 s"},
            Phase.FAILED,
            "timeout after 5 s",
            None,
        ),
        (
            described("CANCELLED", "Job timed out.", 4),
            None,
            Phase.FAILED,
            "timeout: Vertex AI's limit for all attempts (scheduling.timeout) was reached: Job timed out.",
            None,
        ),
        (
            described("EXPIRED"),
            None,
            Phase.FAILED,
            "timeout: no machine within the time to wait (maxWaitDuration)",
            None,
        ),
        (
            described("FAILED", "Resources are insufficient in region: us-central1.", 8),
            None,
            Phase.FAILED,
            "Resources are insufficient in region: us-central1.",
            None,
        ),
    ],
)
def test_states_reasons_and_exit_codes(
    job: dict[str, Any], failure: Any, phase: Phase, reason: str, code: int | None
) -> None:
    status = job_status(job, failure=failure)
    assert (status.phase, status.reason, status.exit_code) == (phase, reason, code)
    assert phase_of(job) is phase


def test_details_are_those_of_the_machines() -> None:
    pool = {"machineSpec": {"machineType": "n1-standard-4", "acceleratorType": "X", "acceleratorCount": 2}}
    spec = {"workerPoolSpecs": [{**pool, "replicaCount": "1"}, {**pool, "replicaCount": "2"}]}
    details = job_status(described("RUNNING", jobSpec=spec, name="n")).details
    assert details == {"name": "n", "machine_type": "n1-standard-4", "accelerators": "X:2", "nodes": 3}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.5Z", 1.5),
        ("1970-01-01T00:00:01.000000250Z", 1.00000025),
        ("", None),
        (None, None),
    ],
)
def test_times(given: Any, expected: float | None) -> None:
    assert seconds(given) == expected
