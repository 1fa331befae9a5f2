"""What the service checks of a CreateTrainingJob beyond the shapes of its model, before it answers."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import aws, warm_pools
from .images import Image, find
from .instances import check_instance
from .operations import invalid
from .training_channels import found_objects

if TYPE_CHECKING:
    from .region import Region

#: Members that this emulator cannot honour: a request with one is refused rather than half obeyed.
_NOT_EMULATED = (
    "DebugHookConfig",
    "DebugRuleConfigurations",
    "TensorBoardOutputConfig",
    "ExperimentConfig",
    "ProfilerRuleConfigurations",
    "ServerlessJobConfig",
    "MlflowConfig",
    "ModelPackageConfig",
)
_RESOURCES_NOT_EMULATED = (
    "InstanceGroups",
    "TrainingPlanArn",
    "InstancePlacementConfig",
    "InstancePreferences",
    "SelectedInstanceType",
    "SelectedInstanceCount",
)
_ALGORITHM_NOT_EMULATED = ("AlgorithmName", "TrainingImageConfig")
_RUNNING = ("InProgress", "Stopping")


def check_request(region: Region, params: Mapping[str, Any]) -> None:
    """Check a request; the caller looks for its name.

    Raises:
        ServiceError: the service's own answer, or what it is that is not emulated.
    """
    _check_emulated(params)
    _check_stopping(params)
    aws.check_role(region, params["RoleArn"])
    _check_image(region, params["AlgorithmSpecification"])
    _check_channels(region, params)
    _check_outputs(region, params)
    resources = params["ResourceConfig"]
    kind, count = resources["InstanceType"], resources["InstanceCount"]
    what = "spot training job" if params.get("EnableManagedSpotTraining") else "training job"
    check_instance(kind, count, what, _in_use(region, kind))
    warm_pools.check(region, params)


def _check_emulated(params: Mapping[str, Any]) -> None:
    places: list[tuple[str, Mapping[str, Any], Sequence[str]]] = [("", params, _NOT_EMULATED)]
    places.append(("ResourceConfig.", params["ResourceConfig"], _RESOURCES_NOT_EMULATED))
    places.append(("AlgorithmSpecification.", params["AlgorithmSpecification"], _ALGORITHM_NOT_EMULATED))
    found = [prefix + name for prefix, value, names in places for name in names if value.get(name)]
    if "MaxPendingTimeInSeconds" in params["StoppingCondition"]:
        found.append("StoppingCondition.MaxPendingTimeInSeconds")
    if params.get("RemoteDebugConfig", {}).get("EnableRemoteDebug"):
        found.append("RemoteDebugConfig")
    if params.get("SessionChainingConfig", {}).get("EnableSessionTagChaining"):
        found.append("SessionChainingConfig")
    if found:
        raise invalid(f"Not emulated by the offline cloud: {', '.join(found)}. Leave it out to run the job offline.")
    for name in ("InstanceType", "InstanceCount"):
        if name not in params["ResourceConfig"]:
            raise invalid(f"ResourceConfig: {name} is required")
    if "TrainingImage" not in params["AlgorithmSpecification"]:
        raise invalid("AlgorithmSpecification: you must specify exactly one of TrainingImage and AlgorithmName")


def _check_stopping(params: Mapping[str, Any]) -> None:
    stopping = params.get("StoppingCondition", {})
    longest, patience = stopping.get("MaxRuntimeInSeconds", 86400), stopping.get("MaxWaitTimeInSeconds")
    if not params.get("EnableManagedSpotTraining"):
        if patience is not None:
            raise invalid("MaxWaitTimeInSeconds is only supported when EnableManagedSpotTraining is true")
        return
    if patience is None or patience < longest:
        raise invalid(
            "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
        )


def _check_image(region: Region, specification: Mapping[str, Any]) -> None:
    image = find(specification["TrainingImage"], region.surroundings.images)
    _check_metrics(specification.get("MetricDefinitions", []))
    if not specification.get("ContainerEntrypoint") and train_program(image) is None:
        raise invalid(
            f"The image {image.uri} would run its own program `train`, and the Python that stands for it here has none "
            "(the package sagemaker-training brings it). Give ContainerEntrypoint, or map the image to one."
        )


def train_program(image: Image) -> str | None:
    """The program ``train`` of an image, None where what stands for it has none."""
    return shutil.which("train", path=image.python.scripts)


def _check_metrics(definitions: Sequence[Mapping[str, Any]]) -> None:
    for one in definitions:
        try:
            re.compile(one["Regex"])
        except re.error as error:
            raise invalid(f"Invalid regular expression {one['Regex']!r} of metric {one['Name']!r}: {error}") from None


def _check_channels(region: Region, params: Mapping[str, Any]) -> None:
    channels = params.get("InputDataConfig", [])
    names = [channel["ChannelName"] for channel in channels]
    if len(set(names)) < len(names):
        raise invalid("Duplicate channel names are not allowed in InputDataConfig")
    mode = params["AlgorithmSpecification"]["TrainingInputMode"]
    for channel in channels:
        source = channel["DataSource"].get("S3DataSource")
        if source is None:
            raise invalid(f"Channel {channel['ChannelName']}: only S3DataSource is emulated by the offline cloud.")
        _check_channel(channel, source, mode)
        _check_bucket(region, source["S3Uri"])
        found_objects(region, channel, params["RoleArn"])


def _check_channel(channel: Mapping[str, Any], source: Mapping[str, Any], mode: str) -> None:
    name = channel["ChannelName"]
    if channel.get("InputMode", mode) == "Pipe":
        raise invalid(f"Channel {name}: input mode Pipe is not emulated by the offline cloud; use File or FastFile.")
    if channel.get("InputMode", mode) == "FastFile" and channel.get("CompressionType", "None") != "None":
        raise invalid(f"Channel {name}: CompressionType is not supported for input mode FastFile")
    for member in ("ShuffleConfig", "RecordWrapperType"):
        if channel.get(member, "None") != "None":
            raise invalid(f"Channel {name}: {member} is not emulated by the offline cloud.")
    for member in ("AttributeNames", "InstanceGroupNames", "ModelAccessConfig", "HubAccessConfig"):
        if source.get(member):
            raise invalid(f"Channel {name}: {member} is not emulated by the offline cloud.")
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise invalid(f"Channel {name}: {source['S3DataType']} is not emulated by the offline cloud.")


def _check_outputs(region: Region, params: Mapping[str, Any]) -> None:
    output = params.get("OutputDataConfig")
    if output is None:
        raise invalid("OutputDataConfig is required")
    _check_bucket(region, output["S3OutputPath"], needed=True)
    if "CheckpointConfig" in params:
        _check_bucket(region, params["CheckpointConfig"]["S3Uri"], needed=True)
        path = params["CheckpointConfig"].get("LocalPath", "/opt/ml/checkpoints")
        if not Path(path).is_relative_to("/opt/ml"):
            raise invalid(f"CheckpointConfig: LocalPath {path} is emulated below /opt/ml only.")


def _check_bucket(region: Region, uri: str, *, needed: bool = False) -> None:
    bucket = aws.split(uri)[0]
    found = aws.bucket_region(region, bucket)
    if found is None and needed:
        raise invalid(f"S3 bucket {bucket!r} does not exist, or access to it is denied ({uri}).")
    if found is not None and found != region.name:
        raise invalid(f"The S3 bucket {bucket!r} is in region {found}; the training job is in {region.name}.")


def _in_use(region: Region, instance: str) -> int:
    """Instances of a type that training jobs use now."""
    used = 0
    for record in region.all("training-job"):
        resources = record.described["ResourceConfig"]
        if record.described["TrainingJobStatus"] in _RUNNING and resources["InstanceType"] == instance:
            used += resources["InstanceCount"]
    return used
