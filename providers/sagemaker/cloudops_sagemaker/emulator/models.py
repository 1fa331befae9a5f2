"""Models: an image, an artifact and variables under a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import aws, images
from .operations import invalid, operation
from .region import Record, Region
from .summaries import listed
from .tags import tags_of

KIND = "model"
_UNSUPPORTED = {
    "AdditionalModelDataSources": "additional model data",
    "ModelPackageName": "a model package",
    "MultiModelConfig": "a container for several models",
    "InferenceSpecificationName": "an inference specification of a model package",
}


@operation("CreateModel")
def create_model(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """Check what can be checked, and note the model."""
    name = params["ModelName"]
    container = _container(params)
    if "ExecutionRoleArn" not in params:
        raise invalid("ExecutionRoleArn is required to create a model from a container.")
    _check_container(region, container)
    aws.check_role(region, params["ExecutionRoleArn"])
    with region.lock:
        if region.find(KIND, name):
            raise invalid(f'Cannot create already existing model "{region.arn(KIND, name)}".')
        now = region.clock.now()
        described = {key: value for key, value in params.items() if key != "Tags"}
        described.setdefault("EnableNetworkIsolation", False)
        for key in ("PrimaryContainer", "Containers"):
            if key in described:
                described[key] = _shown(described[key])
        described |= {"ModelArn": region.arn(KIND, name), "CreationTime": now}
        region.add(Record(KIND, name, described, now), tags_of(params))
    return {"ModelArn": region.arn(KIND, name)}


@operation("DescribeModel")
def describe_model(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """What CreateModel was given."""
    return dict(existing(region, params["ModelName"]).described)


@operation("DeleteModel")
def delete_model(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """Forget a model; what runs already goes on."""
    with region.lock:
        existing(region, params["ModelName"])
        region.remove(KIND, params["ModelName"])
    return {}


@operation("ListModels")
def list_models(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """The models of this region."""

    def summary(record: Record) -> dict[str, Any]:
        return {key: record.described[key] for key in ("ModelName", "ModelArn", "CreationTime")}

    return listed(region.all(KIND), params, answer="Models", summary=summary)


def existing(region: Region, name: str) -> Record:
    """The model of that name.

    Raises:
        ServiceError: there is none.
    """
    found = region.find(KIND, name)
    if found is None:
        raise invalid(f'Could not find model "{region.arn(KIND, name)}".')
    return found


def container_of(model: Record) -> dict[str, Any]:
    """The one container of a model."""
    described = model.described
    return dict(described.get("PrimaryContainer") or described["Containers"][0])


def _container(params: Mapping[str, Any]) -> dict[str, Any]:
    primary, several = params.get("PrimaryContainer"), params.get("Containers")
    if primary and several:
        raise invalid("Cannot specify both PrimaryContainer and Containers in the same request.")
    if several and len(several) > 1:
        raise invalid(
            "Models of several containers (inference pipelines) are not emulated by the offline cloud; give one "
            "PrimaryContainer"
        )
    if not primary and not several:
        raise invalid("One of PrimaryContainer or Containers is required.")
    return dict(primary or several[0])  # type: ignore[index]


def _check_container(region: Region, container: Mapping[str, Any]) -> None:
    for member, what in _UNSUPPORTED.items():
        if member in container:
            raise invalid(f"{member} ({what}) is not emulated by the offline cloud")
    if container.get("Mode", "SingleModel") != "SingleModel":
        raise invalid("Mode MultiModel is not emulated by the offline cloud; give one model for each endpoint variant")
    if "Image" not in container:
        raise invalid("Image is required where no ModelPackageName is given.")
    images.find(container["Image"], region.surroundings.images)
    check_data(region, container)


def check_data(region: Region, container: Mapping[str, Any]) -> None:
    """Have the model data of a container be there.

    Raises:
        ServiceError: it is not, or is named in two ways.
    """
    if "ModelDataUrl" in container and "ModelDataSource" in container:
        raise invalid("Only one of ModelDataUrl and ModelDataSource can be specified for a container.")
    if "ModelDataUrl" in container:
        url = container["ModelDataUrl"]
        if not aws.exists(region, url):
            raise invalid(f"Could not find model data at {url}.")
        return
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source is None:
        return
    for member in ("HubAccessConfig", "ManifestS3Uri", "ETag", "ManifestEtag"):
        if member in source:
            raise invalid(f"ModelDataSource: {member} is not emulated by the offline cloud")
    url, compressed = source["S3Uri"], source["CompressionType"] == "Gzip"
    if source["S3DataType"] == "S3Prefix" and not url.endswith("/"):
        raise invalid(f"S3Uri {url} with S3DataType S3Prefix must end with a forward slash (/).")
    if compressed and source["S3DataType"] != "S3Object":
        raise invalid("CompressionType Gzip needs S3DataType S3Object: one tar.gz file.")
    found = aws.exists(region, url) if source["S3DataType"] == "S3Object" else bool(aws.objects(region, url))
    if not found:
        raise invalid(f"Could not find model data at {url}.")


def _shown(given: Any) -> Any:
    """A container as Describe shows it: with its mode, and its data named in both ways."""
    if isinstance(given, list):
        return [_shown(one) for one in given]
    shown = {"Mode": "SingleModel", "Environment": {}, **given}
    if "ModelDataUrl" in shown:
        source = {"S3Uri": shown["ModelDataUrl"], "S3DataType": "S3Object", "CompressionType": "Gzip"}
        shown["ModelDataSource"] = {"S3DataSource": source}
    return shown
