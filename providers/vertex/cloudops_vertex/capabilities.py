"""What Vertex AI can do through cloudops, with reasons."""

from __future__ import annotations

from collections.abc import Mapping

from cloudops.provider import Capability, Support

_YES = Support(True)


def capabilities() -> Mapping[Capability, Support]:
    """Every capability; needs no SDK and no credentials."""
    return {
        Capability.TRAIN: _YES,
        Capability.DEPLOY: _YES,
        Capability.MONITOR: Support(
            False, "cloudops does not observe endpoints of Vertex AI yet", "the console shows their metrics"
        ),
        Capability.BATCH: Support(
            False, "batch predictions are not part of the provider vertex yet", "predict in an evaluate step"
        ),
        Capability.IMAGE: _YES,
        Capability.REQUIREMENTS: Support(True, "installed by pip when the container starts"),
        Capability.SECRETS: Support(True, "kept in Secret Manager for as long as the job or version exists"),
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
        Capability.TRAFFIC_SPLIT: Support(
            True, "in whole percents; one version is asked for by asking until it is the one that answers"
        ),
        Capability.CANARY: Support(True, "emulated: whoever looks at the endpoint moves it on, or undoes it"),
        Capability.ROLLBACK: Support(True, "the version before is deployed again, which takes minutes"),
        Capability.AUTOSCALING: _YES,
        Capability.SCALE_TO_ZERO: Support(
            False, "a model that is deployed to Vertex AI has one replica at least", "set min_replicas: 1"
        ),
        Capability.CAPTURE: Support(
            False, "cloudops does not keep requests of Vertex AI's endpoints yet", "leave capture out"
        ),
        Capability.TOKEN_AUTH: Support(True, "an OAuth access token of Google's; it may aiplatform.endpoints.predict"),
        Capability.OPEN_ENDPOINT: Support(
            False,
            "its endpoints take requests with an access token of Google's only",
            "set auth: token, or leave it out",
        ),
    }
