"""Pure functions: what Vertex AI says of a job, in the common words."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cloudops.refs import Phase, Status

#: https://cloud.google.com/vertex-ai/docs/reference/rest/v1/JobState
_PHASES = {
    "JOB_STATE_QUEUED": Phase.PENDING,
    "JOB_STATE_PENDING": Phase.STARTING,
    "JOB_STATE_RUNNING": Phase.RUNNING,
    "JOB_STATE_SUCCEEDED": Phase.SUCCEEDED,
    "JOB_STATE_FAILED": Phase.FAILED,
    "JOB_STATE_CANCELLING": Phase.STOPPING,
    "JOB_STATE_CANCELLED": Phase.CANCELLED,
    "JOB_STATE_PAUSED": Phase.PENDING,
    "JOB_STATE_EXPIRED": Phase.FAILED,
    "JOB_STATE_UPDATING": Phase.RUNNING,
}
#: google.rpc.Code of a job's error.
_DEADLINE_EXCEEDED = 4
#: https://cloud.google.com/vertex-ai/docs/training/understanding-training-service#errors
_EXIT = re.compile(r"exited with a non-zero status of (\d+)")
_TIMED_OUT = re.compile(r"timed? ?out|timeout|deadline", re.IGNORECASE)
#: Where to look is said in every message, with an address of hundreds of characters.
_CONSOLE = re.compile(r"\s*To find out more about why your job exited.*", re.DOTALL)
_WAITS = {
    "JOB_STATE_QUEUED": "waits for quota, or for its turn",
    "JOB_STATE_PENDING": "machines are being started",
}


def job_phase(state: str) -> Phase:
    """The phase of a job; a state that is not known is UNKNOWN."""
    return _PHASES.get(state, Phase.UNKNOWN)


def timed_out(described: Mapping[str, Any]) -> bool:
    """Whether the service ended a job because of its time limit."""
    error = described.get("error", {})
    return error.get("code") == _DEADLINE_EXCEEDED or bool(_TIMED_OUT.search(error.get("message", "")))


def phase_of(described: Mapping[str, Any]) -> Phase:
    """The phase of a described job: one that the service cancelled because of its time has failed."""
    phase = job_phase(str(described.get("state", "")))
    return Phase.FAILED if phase is Phase.CANCELLED and timed_out(described) else phase


def job_status(
    described: Mapping[str, Any], *, failure: Mapping[str, Any] | None = None, attempt: int | None = None
) -> Status:
    """Where a job stands.

    Args:
        described: a CustomJob, in the notation of the REST API.
        failure: ``failure.json`` of the container, where there is one.
        attempt: which one, where that is known.
    """
    state, phase = str(described.get("state", "")), phase_of(described)
    reason, code = _told(str(described.get("error", {}).get("message", "")))
    if phase is Phase.SUCCEEDED:
        reason, code = "", 0
    elif phase is Phase.FAILED:
        reason, code = _failed(described, failure, reason, code)
    elif phase is Phase.CANCELLED:
        reason, code = reason or "cancelled", None
    else:
        reason, code = reason or _WAITS.get(state, ""), None
    return Status(
        phase=phase,
        reason=reason,
        native=state,
        created=seconds(described.get("createTime")),
        started=seconds(described.get("startTime")),
        ended=seconds(described.get("endTime")) if phase.final else None,
        exit_code=code,
        attempt=attempt,
        details=_details(described),
    )


def _failed(
    described: Mapping[str, Any], failure: Mapping[str, Any] | None, reason: str, code: int | None
) -> tuple[str, int | None]:
    """Reason and exit code: the container knows them best, where it could still say them."""
    if failure is not None:
        own = str(failure.get("reason", ""))
        late = own.startswith("timeout")
        return own or reason, None if late else int(failure.get("code", 1))
    if timed_out(described):
        return (
            f"timeout: Vertex AI's limit for all attempts (scheduling.timeout) was reached{reason and ': '}{reason}",
            None,
        )
    if described.get("state") == "JOB_STATE_EXPIRED":
        return reason or "timeout: no machine within the time to wait (maxWaitDuration)", None
    return reason or "Vertex AI tells no reason", code


def _told(message: str) -> tuple[str, int | None]:
    line = " ".join(_CONSOLE.sub("", message).split())
    found = _EXIT.search(line)
    return line, int(found[1]) if found else None


def seconds(value: Any) -> float | None:
    """A time of the REST API (RFC 3339, up to nine digits of a second) as epoch seconds."""
    if not isinstance(value, str) or not value:
        return None
    whole, _, rest = value.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + (float(f"0.{rest}") if rest else 0.0)


def _details(described: Mapping[str, Any]) -> dict[str, Any]:
    pools = described.get("jobSpec", {}).get("workerPoolSpecs", ())
    machine = pools[0].get("machineSpec", {}) if pools else {}
    found = {
        "name": described.get("name"),
        "machine_type": machine.get("machineType"),
        "accelerators": machine.get("acceleratorType")
        and f"{machine['acceleratorType']}:{machine['acceleratorCount']}",
        "nodes": sum(int(pool.get("replicaCount", 1)) for pool in pools) or None,
        "web_access": described.get("webAccessUris") or None,
    }
    return {key: value for key, value in found.items() if value is not None}
