"""What a request asks for that has no effect on this machine; it is said at the head of the log.

What would change the outcome is refused where the request is checked; these are about disks, networks, keys and images
that only AWS has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

_TRAINING = ("VpcConfig", "EnableInterContainerTrafficEncryption", "InfraCheckConfig")
_VARIANT = ("VolumeSizeInGB", "EnableSSMAccess", "InferenceAmiVersion", "VariantInstanceProvisionTimeoutInSeconds")
_CONFIG = ("KmsKeyId", "VpcConfig", "MetricsConfig")
_MODEL = ("VpcConfig", "InferenceExecutionConfig")
_CONTAINER = ("ContainerHostname", "ImageConfig", "ContainerMetricsConfig")
_TRANSFORM = ("VolumeKmsKeyId", "TransformAmiVersion")
#: How isolation is told where a process cannot be kept from the network.
ISOLATION = "EnableNetworkIsolation (but for proxy and credentials, which are not there)"


def lines(unused: Sequence[str]) -> list[str]:
    """The line that tells them, or none."""
    return [f"[offline] without effect here: {', '.join(unused)}"] if unused else []


def of_training(params: Mapping[str, Any], *, isolated: bool) -> list[str]:
    """Of CreateTrainingJob; ``isolated``: whether network isolation, where it is wanted, is real."""
    unused = [*_given(params, _TRAINING), *_given(params["ResourceConfig"], ("VolumeKmsKeyId",))]
    if params["AlgorithmSpecification"].get("EnableSageMakerMetricsTimeSeries"):
        unused.append("EnableSageMakerMetricsTimeSeries")
    if "ProfilerConfig" in params and not params["ProfilerConfig"].get("DisableProfiler"):
        unused.append("ProfilerConfig")
    return unused if isolated or not params.get("EnableNetworkIsolation") else [*unused, ISOLATION]


def of_hosting(config: Mapping[str, Any], variant: Mapping[str, Any], model: Mapping[str, Any]) -> list[str]:
    """Of a variant of an endpoint configuration and of the model (or container) that it serves."""
    unused = [*_given(variant, _VARIANT), *(f"{name} of the configuration" for name in _given(config, _CONFIG))]
    if "ScaleInPolicy" in variant.get("ManagedInstanceScaling", {}):
        unused.append("ManagedInstanceScaling.ScaleInPolicy")
    return unused + of_model(model) + ([ISOLATION] if isolates(config, model) else [])


def of_transform(request: Mapping[str, Any], model: Mapping[str, Any]) -> list[str]:
    """Of CreateTransformJob and its model."""
    unused = [*_given(request["TransformResources"], _TRANSFORM), *of_model(model)]
    return unused + ([ISOLATION] if isolates({}, model) else [])


def of_model(model: Mapping[str, Any]) -> list[str]:
    """Of a model as CreateModel has it, or of what has a container alone."""
    containers = [model.get("PrimaryContainer"), model.get("Container"), *model.get("Containers", ())]
    container: Mapping[str, Any] = next(filter(None, containers), {})
    source = container.get("ModelDataSource", {}).get("S3DataSource", {})
    unused = (*_given(model, _MODEL), *_given(container, _CONTAINER), *_given(source, ("ModelAccessConfig",)))
    return [f"{name} of the model" for name in unused]


def isolates(config: Mapping[str, Any], model: Mapping[str, Any]) -> bool:
    """Whether containers are to have neither network nor credentials."""
    return bool(config.get("EnableNetworkIsolation") or model.get("EnableNetworkIsolation"))


def _given(request: Mapping[str, Any], names: Sequence[str]) -> Iterator[str]:
    return (name for name in names if request.get(name))
