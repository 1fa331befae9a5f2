"""Pure functions: what SageMaker says of a job, in the common words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from cloudops.refs import Phase, Status

_JOBS = {
    "Stopping": Phase.STOPPING,
    "Completed": Phase.SUCCEEDED,
    "Failed": Phase.FAILED,
    "Stopped": Phase.CANCELLED,
    "Deleting": Phase.STOPPING,
}
_WITHIN = {
    "Pending": Phase.PENDING,
    "Starting": Phase.STARTING,
    "LaunchingMLInstances": Phase.STARTING,
    "PreparingTrainingStack": Phase.STARTING,
    "Downloading": Phase.STARTING,
    "DownloadingTrainingImage": Phase.STARTING,
    "Training": Phase.RUNNING,
    "Uploading": Phase.RUNNING,
    "Interrupted": Phase.PENDING,
    "Restarting": Phase.STARTING,
    "Updating": Phase.RUNNING,
}
#: How the service ends a job that nobody cancelled.
_OVER = {
    "MaxRuntimeExceeded": "timeout: SageMaker's limit for all attempts (MaxRuntimeInSeconds) was reached",
    "MaxWaitTimeExceeded": "timeout: no spot machine within the time to wait (MaxWaitTimeInSeconds)",
}
_EXIT = re.compile(r"[,.]?\s*exit code: (-?\d+)\s*$", re.IGNORECASE)
_KIND = re.compile(r"^(?:AlgorithmError|ClientError|InternalServerError|CapacityError): ?")
_TIMEOUT = re.compile(r"timeout after [0-9.e+]+ s\b")


def job_phase(status: str, secondary: str = "") -> Phase:
    """The phase of a job; a state that is not known is UNKNOWN."""
    if status == "InProgress":
        return _WITHIN.get(secondary, Phase.RUNNING if not secondary else Phase.UNKNOWN)
    if status == "Stopped" and secondary in _OVER:
        return Phase.FAILED
    return _JOBS.get(status, Phase.UNKNOWN)


def job_status(described: Mapping[str, Any], *, attempt: int | None = None) -> Status:
    """Where a job stands.

    Args:
        described: the answer of DescribeTrainingJob.
        attempt: which one, where that is known.
    """
    status, secondary = str(described.get("TrainingJobStatus", "")), str(described.get("SecondaryStatus", ""))
    phase = job_phase(status, secondary)
    reason, code = failure(str(described.get("FailureReason", "")))
    if phase is Phase.SUCCEEDED:
        code = 0
    elif phase is Phase.FAILED:
        reason = reason or _OVER.get(secondary, "SageMaker tells no reason")
    elif phase is Phase.CANCELLED:
        reason = reason or "cancelled"
    elif not phase.final:
        reason, code = reason or _waits(described), None
    native = status if secondary in ("", status) else f"{status}: {secondary}"
    return Status(
        phase=phase,
        reason=reason,
        native=native,
        created=seconds(described.get("CreationTime")),
        started=seconds(described.get("TrainingStartTime")),
        ended=seconds(described.get("TrainingEndTime")) if phase.final else None,
        exit_code=code,
        attempt=attempt,
        details=_details(described),
    )


def failure(text: str) -> tuple[str, int | None]:
    """Reason and exit code in a FailureReason; a timeout of ours has no exit code."""
    line = " ".join(text.split())
    found = _EXIT.search(line)
    if found:
        line = line[: found.start()]
    if late := _TIMEOUT.search(line):
        return late[0], None
    return _KIND.sub("", line) if found else line, int(found[1]) if found else None


def seconds(value: Any) -> float | None:
    """A time of the SDK as epoch seconds."""
    if isinstance(value, datetime):
        return value.timestamp()
    return float(value) if isinstance(value, int | float) else None


def restarts(described: Mapping[str, Any]) -> int:
    """How often the service started a job again."""
    transitions: Sequence[Mapping[str, Any]] = described.get("SecondaryStatusTransitions", ())
    return sum(item.get("Status") == "Restarting" for item in transitions)


def _waits(described: Mapping[str, Any]) -> str:
    transitions: Sequence[Mapping[str, Any]] = described.get("SecondaryStatusTransitions", ())
    return " ".join(str(transitions[-1].get("StatusMessage", "")).split()) if transitions else ""


def _details(described: Mapping[str, Any]) -> dict[str, Any]:
    config = described.get("ResourceConfig", {})
    found = {
        "instance_type": config.get("InstanceType"),
        "instance_count": config.get("InstanceCount"),
        "billable_seconds": described.get("BillableTimeInSeconds"),
    }
    return {key: value for key, value in found.items() if value is not None}
