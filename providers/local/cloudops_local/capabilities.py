"""What this machine can do, with reasons."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from cloudops.provider import Capability, Support

_YES = Support(True)


def capabilities() -> Mapping[Capability, Support]:
    """Every capability; needs no SDK, and looks at nothing but whether NVIDIA's tools are there."""
    return {
        Capability.TRAIN: _YES,
        Capability.DEPLOY: _YES,
        Capability.MONITOR: _YES,
        Capability.BATCH: _YES,
        Capability.IMAGE: Support(
            False, "it runs processes, not containers", "name a framework and requirements instead"
        ),
        Capability.REQUIREMENTS: _YES,
        Capability.SECRETS: _YES,
        Capability.REMOTE_INPUTS: _YES,
        Capability.ACCELERATORS: _accelerators(),
        Capability.INSTANCE_TYPE: Support(
            False, "this machine is what it is", "set cpus and memory, or put instance_type under overrides.<provider>"
        ),
        Capability.DISK_SIZE: Support(True, "checked against the free space, not reserved"),
        Capability.MULTI_NODE: Support(True, "emulated: each node is a ranked process on this machine"),
        Capability.SPOT: Support(True, "emulated: nothing interrupts a job on this machine"),
        Capability.TIMEOUT: _YES,
        Capability.RETRIES: _YES,
        Capability.CHECKPOINTS: _YES,
        Capability.LOG_FOLLOW: _YES,
        Capability.TRAFFIC_SPLIT: _YES,
        Capability.CANARY: _YES,
        Capability.ROLLBACK: _YES,
        Capability.AUTOSCALING: _YES,
        Capability.SCALE_TO_ZERO: Support(False, "one replica always runs", "set min_replicas: 1"),
        Capability.CAPTURE: _YES,
        Capability.TOKEN_AUTH: _YES,
        Capability.OPEN_ENDPOINT: _YES,
    }


def _accelerators() -> Support:
    if shutil.which("nvidia-smi") is None:
        return Support(
            False,
            "this machine has no NVIDIA GPU (no nvidia-smi)",
            "run on the CPU with --set train.resources.accelerators=null, or choose a cloud",
        )
    return _YES
