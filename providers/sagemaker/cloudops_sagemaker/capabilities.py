"""What SageMaker can do, with reasons."""

from __future__ import annotations

from collections.abc import Mapping

from cloudops.provider import Capability, Support

_YES = Support(True)


def capabilities() -> Mapping[Capability, Support]:
    """Every capability; needs no SDK and no credentials."""
    return {
        Capability.TRAIN: _YES,
        Capability.DEPLOY: _YES,
        Capability.MONITOR: _YES,
        Capability.BATCH: _YES,
        Capability.IMAGE: _YES,
        Capability.REQUIREMENTS: Support(True, "installed by pip when the container starts"),
        Capability.SECRETS: Support(True, "kept in AWS Secrets Manager for as long as the job or version exists"),
        Capability.REMOTE_INPUTS: _YES,
        Capability.ACCELERATORS: _YES,
        Capability.INSTANCE_TYPE: _YES,
        Capability.DISK_SIZE: _YES,
        Capability.MULTI_NODE: _YES,
        Capability.SPOT: _YES,
        Capability.TIMEOUT: Support(True, "enforced in the container for each attempt; MaxRuntimeInSeconds bounds all"),
        Capability.RETRIES: Support(True, "emulated: the container runs the command again on the same machine"),
        Capability.CHECKPOINTS: _YES,
        Capability.LOG_FOLLOW: _YES,
        Capability.TRAFFIC_SPLIT: _YES,
        Capability.CANARY: _YES,
        Capability.ROLLBACK: _YES,
        Capability.AUTOSCALING: _YES,
        Capability.SCALE_TO_ZERO: Support(
            False,
            "cloudops scales no endpoint of SageMaker to zero; SageMaker itself does asynchronous ones and components",
            "set min_replicas: 1; with overrides.sagemaker.deploy.serverless nothing runs, and costs, without traffic",
        ),
        Capability.CAPTURE: _YES,
        Capability.TOKEN_AUTH: Support(
            False, "its endpoints take requests signed by AWS credentials", "leave auth out and grant InvokeEndpoint"
        ),
        Capability.OPEN_ENDPOINT: Support(
            False, "its endpoints take requests signed by AWS credentials", "leave auth out and grant InvokeEndpoint"
        ),
    }
