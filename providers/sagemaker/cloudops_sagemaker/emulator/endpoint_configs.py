"""Endpoint configurations: which models on how many instances of which type, and what is to be captured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import aws, models
from .operations import invalid, operation
from .region import Record, Region
from .summaries import listed
from .tags import tags_of

KIND = "endpoint-config"
_SERVERLESS_MEMORY = (1024, 2048, 3072, 4096, 5120, 6144)
_UNSUPPORTED = {
    "ShadowProductionVariants": "shadow variants",
    "ExplainerConfig": "online explanations",
    "CrossRegionTrafficConfig": "traffic to other regions",
}
_UNSUPPORTED_VARIANT = {
    "InstancePools": "pools of several instance types",
    "AcceleratorType": "Elastic Inference, which AWS has ended",
    "CoreDumpConfig": "core dumps",
    "CapacityReservationConfig": "capacity reservations",
    "AcceleratorPartitionLayouts": "partitioned accelerators",
}


@operation("CreateEndpointConfig")
def create_endpoint_config(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """Check the variants against each other and the models, and note the configuration."""
    name = params["EndpointConfigName"]
    _check(region, params)
    with region.lock:
        if region.find(KIND, name):
            raise invalid(f'Cannot create already existing endpoint configuration "{region.arn(KIND, name)}".')
        now = region.clock.now()
        described = {key: value for key, value in params.items() if key != "Tags"}
        described["ProductionVariants"] = [{"InitialVariantWeight": 1.0, **one} for one in params["ProductionVariants"]]
        described.setdefault("EnableNetworkIsolation", False)
        described |= {"EndpointConfigArn": region.arn(KIND, name), "CreationTime": now}
        region.add(Record(KIND, name, described, now), tags_of(params))
    return {"EndpointConfigArn": region.arn(KIND, name)}


@operation("DescribeEndpointConfig")
def describe_endpoint_config(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """What CreateEndpointConfig was given."""
    return dict(existing(region, params["EndpointConfigName"]).described)


@operation("DeleteEndpointConfig")
def delete_endpoint_config(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """Forget a configuration; endpoints that use it go on."""
    with region.lock:
        existing(region, params["EndpointConfigName"])
        region.remove(KIND, params["EndpointConfigName"])
    return {}


@operation("ListEndpointConfigs")
def list_endpoint_configs(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """The configurations of this region."""

    def summary(record: Record) -> dict[str, Any]:
        return {key: record.described[key] for key in ("EndpointConfigName", "EndpointConfigArn", "CreationTime")}

    return listed(region.all(KIND), params, answer="EndpointConfigs", summary=summary)


def existing(region: Region, name: str) -> Record:
    """The configuration of that name.

    Raises:
        ServiceError: there is none.
    """
    found = region.find(KIND, name)
    if found is None:
        raise invalid(f'Could not find endpoint configuration "{region.arn(KIND, name)}".')
    return found


def _check(region: Region, params: Mapping[str, Any]) -> None:
    _refuse(params, _UNSUPPORTED)
    if params.get("MetricsConfig", {}).get("EnableEnhancedMetrics"):
        raise invalid("MetricsConfig.EnableEnhancedMetrics is not emulated by the offline cloud")
    variants = params["ProductionVariants"]
    names = [variant["VariantName"] for variant in variants]
    if len(set(names)) < len(names):
        raise invalid("Variant names must be unique within an endpoint configuration.")
    for variant in variants:
        _check_variant(region, variant, params)
    if sum(variant.get("InitialVariantWeight", 1.0) for variant in variants) <= 0:
        raise invalid("At least one production variant must have an InitialVariantWeight greater than 0.")
    serverless = ["ServerlessConfig" in variant for variant in variants]
    if any(serverless):
        _check_serverless(variants, params, alone=all(serverless))
    if "AsyncInferenceConfig" in params:
        _check_async(params["AsyncInferenceConfig"]["OutputConfig"])
    if "ExecutionRoleArn" in params:
        aws.check_role(region, params["ExecutionRoleArn"])


def _check_variant(region: Region, variant: Mapping[str, Any], params: Mapping[str, Any]) -> None:
    _refuse(variant, _UNSUPPORTED_VARIANT)
    name = variant["VariantName"]
    if "ModelName" in variant:
        models.existing(region, variant["ModelName"])
    elif "ExecutionRoleArn" not in params:
        raise invalid(
            f"Variant {name} has no ModelName: an endpoint for inference components needs an ExecutionRoleArn in its "
            "endpoint configuration."
        )
    if "ServerlessConfig" in variant:
        return
    if "InstanceType" not in variant or "InitialInstanceCount" not in variant:
        raise invalid(f"InstanceType and InitialInstanceCount are required for production variant {name}.")
    routing = variant.get("RoutingConfig", {}).get("RoutingStrategy", "RANDOM")
    if routing not in ("RANDOM", "LEAST_OUTSTANDING_REQUESTS"):
        raise invalid(f"RoutingStrategy {routing} of variant {name} is not emulated by the offline cloud")
    scaling = variant.get("ManagedInstanceScaling", {})
    if scaling.get("MinInstanceCount", 0) > scaling.get("MaxInstanceCount", scaling.get("MinInstanceCount", 0)):
        raise invalid(f"ManagedInstanceScaling of variant {name}: MinInstanceCount is more than MaxInstanceCount.")


def _check_serverless(variants: list[dict[str, Any]], params: Mapping[str, Any], *, alone: bool) -> None:
    if not alone:
        raise invalid("Serverless and instance-based production variants cannot be in one endpoint configuration.")
    if len(variants) > 1:
        raise invalid("A serverless endpoint can have one production variant only.")
    if "AsyncInferenceConfig" in params:
        raise invalid("AsyncInferenceConfig is not supported for serverless endpoints.")
    if params.get("DataCaptureConfig", {}).get("EnableCapture"):
        raise invalid("DataCaptureConfig is not supported for serverless endpoints.")
    config = variants[0]["ServerlessConfig"]
    if config["MemorySizeInMB"] not in _SERVERLESS_MEMORY:
        raise invalid(f"MemorySizeInMB must be one of {', '.join(map(str, _SERVERLESS_MEMORY))}.")
    if config.get("ProvisionedConcurrency", 0) > config["MaxConcurrency"]:
        raise invalid("ProvisionedConcurrency must not be more than MaxConcurrency.")


def _check_async(output: Mapping[str, Any]) -> None:
    if "NotificationConfig" in output:
        raise invalid("NotificationConfig (SNS topics) is not emulated by the offline cloud; look for the output in S3")
    if "S3OutputPath" not in output:
        raise invalid("S3OutputPath is required in OutputConfig of AsyncInferenceConfig.")


def _refuse(given: Mapping[str, Any], unsupported: Mapping[str, str]) -> None:
    for member, what in unsupported.items():
        if member in given:
            raise invalid(f"{member} ({what}) is not emulated by the offline cloud")
