"""Registers the SageMaker provider."""

from __future__ import annotations

from cloudops.hookspecs import hookimpl
from cloudops.provider import ProviderInfo


@hookimpl
def cloudops_provider() -> ProviderInfo:
    """The SageMaker provider."""
    return ProviderInfo(
        name="sagemaker",
        summary="Amazon SageMaker: managed training jobs and endpoints.",
        create="cloudops_sagemaker.provider:create",
        target="cloudops_sagemaker.options:SageMakerTarget",
        overrides="cloudops_sagemaker.options:SageMakerOverrides",
        capabilities="cloudops_sagemaker.capabilities:capabilities",
        sdk=("boto3",),
        extra="sagemaker",
        emulator="cloudops_sagemaker.emulator:SageMakerEmulator",
    )
