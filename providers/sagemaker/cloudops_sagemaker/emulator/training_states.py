"""The states of a training job: what is told of each, how one follows another, and how a job ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: What Describe tells of a secondary status.
MESSAGES = {
    "Starting": "Preparing the instances for training",
    "Pending": "Training job waiting for capacity",
    "Downloading": "Downloading input data",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Interrupted": "Training job interrupted",
    "Restarting": "Restarting the training job",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "MaxWaitTimeExceeded": "Training job wait time exceeded MaxWaitTimeInSeconds provided",
}


@dataclass(frozen=True)
class End:
    """How a job ended: its last status and secondary status, why it failed, and whether the service is to blame."""

    status: str
    secondary: str
    reason: str = ""
    retryable: bool = False


def enter(described: dict[str, Any], secondary: str, message: str, now: float, status: str) -> None:
    """Note a transition in what Describe answers."""
    transitions = described["SecondaryStatusTransitions"]
    if transitions and transitions[-1]["Status"] == secondary:
        transitions[-1]["StatusMessage"] = message
    else:
        if transitions:
            transitions[-1]["EndTime"] = now
        transitions.append({"Status": secondary, "StartTime": now, "StatusMessage": message})
    described["TrainingJobStatus"], described["SecondaryStatus"] = status, secondary
    described["LastModifiedTime"] = now
