"""What can be set for this provider only, and what it declares that it can do."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field

from cloudops.provider import Capability, Support
from cloudops.specs import Strict, Text


class SandboxTarget(Strict):
    """``targets.<name>`` with ``provider: sandbox``."""

    folder: Text = Field(".sandbox", description="Where everything is kept; a relative path starts at the project")


class SandboxJobOptions(Strict):
    """``overrides.sandbox.train``, and those of the other steps."""

    nice: int = Field(0, ge=0, le=19, description="The niceness of the job's processes")


class SandboxOverrides(Strict):
    """``overrides.sandbox``: an attribute for each step that has options."""

    prepare: SandboxJobOptions | None = None
    train: SandboxJobOptions | None = None
    evaluate: SandboxJobOptions | None = None


_THERE = {
    Capability.TRAIN: "",
    Capability.DEPLOY: "",
    Capability.MONITOR: "",
    Capability.CHECKPOINTS: "a repeated job goes on from those of the one before",
    Capability.LOG_FOLLOW: "",
    Capability.OPEN_ENDPOINT: "",
}
_NOT_THERE = {
    Capability.BATCH: "it has no batch jobs",
    Capability.IMAGE: "it runs processes, not containers",
    Capability.REQUIREMENTS: "it runs everything with the Python that runs cloudops",
    Capability.SECRETS: "it has no safe place for them",
    Capability.REMOTE_INPUTS: "it reads files of this machine only",
    Capability.ACCELERATORS: "it does not look for any",
    Capability.INSTANCE_TYPE: "there is one machine",
    Capability.DISK_SIZE: "it does not count disk space",
    Capability.MULTI_NODE: "a job is one process",
    Capability.SPOT: "nothing is interruptible",
    Capability.TIMEOUT: "a job runs until it ends or is cancelled",
    Capability.RETRIES: "a failed job stays failed",
    Capability.TRAFFIC_SPLIT: "one version serves at a time",
    Capability.CANARY: "one version serves at a time",
    Capability.ROLLBACK: "it forgets the version before",
    Capability.AUTOSCALING: "an endpoint has one replica",
    Capability.SCALE_TO_ZERO: "an endpoint has one replica",
    Capability.CAPTURE: "it counts requests and does not keep them",
    Capability.TOKEN_AUTH: "whoever reaches the port is answered",
}


def capabilities() -> Mapping[Capability, Support]:
    """Every capability. What is not there has a reason; cloudops refuses what needs it before anything is created."""
    there = {capability: Support(True, reason) for capability, reason in _THERE.items()}
    return there | {capability: Support(False, reason, "use local") for capability, reason in _NOT_THERE.items()}
