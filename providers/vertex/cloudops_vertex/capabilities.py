"""What Vertex AI can do through cloudops, with reasons."""

from __future__ import annotations

from collections.abc import Mapping

from cloudops.provider import Capability, Support

_YES = Support(True)
#: Why nothing is served yet; :mod:`cloudops_vertex.provider` refuses with the same words.
NOT_SERVED = "the provider vertex runs jobs only: endpoints are not part of it yet"
HINT = "deploy with another provider: a target with provider: sagemaker or local takes the model's gs:// address"
_NO = Support(False, NOT_SERVED, HINT)


def capabilities() -> Mapping[Capability, Support]:
    """Every capability; needs no SDK and no credentials."""
    return {
        Capability.TRAIN: _YES,
        Capability.DEPLOY: _NO,
        Capability.MONITOR: Support(False, "there are no endpoints to observe yet", HINT),
        Capability.BATCH: Support(
            False, "batch predictions are not part of the provider vertex yet", "predict in an evaluate step"
        ),
        Capability.IMAGE: _YES,
        Capability.REQUIREMENTS: Support(True, "installed by pip when the container starts"),
        Capability.SECRETS: Support(True, "kept in Secret Manager for as long as the job exists"),
        Capability.REMOTE_INPUTS: _YES,
        Capability.ACCELERATORS: _YES,
        Capability.INSTANCE_TYPE: _YES,
        Capability.DISK_SIZE: Support(True, "100 GB or more: the boot disk is the job's only one"),
        Capability.MULTI_NODE: Support(True, "the first node waits for the others, as Vertex AI ends the job with it"),
        Capability.SPOT: _YES,
        Capability.TIMEOUT: Support(True, "enforced in the container for each attempt; scheduling.timeout bounds all"),
        Capability.RETRIES: Support(True, "emulated: the container runs the command again on the same machine"),
        Capability.CHECKPOINTS: Support(
            True, "copied to the bucket while the job runs, and back where it starts again"
        ),
        Capability.LOG_FOLLOW: _YES,
        Capability.TRAFFIC_SPLIT: _NO,
        Capability.CANARY: _NO,
        Capability.ROLLBACK: _NO,
        Capability.AUTOSCALING: _NO,
        Capability.SCALE_TO_ZERO: _NO,
        Capability.CAPTURE: _NO,
        Capability.TOKEN_AUTH: _NO,
        Capability.OPEN_ENDPOINT: _NO,
    }
