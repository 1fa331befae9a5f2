"""The operations on endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudops.offline.faults import FaultKind

from . import deployments, endpoint_configs, hosting, subjects, updates
from .alarms import check_alarms
from .deployment_policy import policy
from .hosted import Hosted
from .hosting_quota import check_config, check_growth
from .keeping import on_restore
from .operations import invalid, operation
from .region import Record, Region
from .summaries import listed
from .tags import tags_of

KIND = "endpoint"
_AT_REST = frozenset({"InService", "Failed", "OutOfService", "UpdateRollbackFailed"})


@operation("CreateEndpoint")
def create_endpoint(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """Begin to serve a configuration."""
    name = params["EndpointName"]
    config = endpoint_configs.existing(region, params["EndpointConfigName"])
    deployment = params.get("DeploymentConfig")
    _policy(region, deployment, config.described)
    check_config(region, config.described)
    with region.lock:
        if region.find(KIND, name):
            raise invalid(f'Cannot create already existing endpoint "{region.arn(KIND, name)}".')
        now = region.clock.now()
        described = {
            "EndpointName": name,
            "EndpointArn": region.arn(KIND, name),
            "EndpointConfigName": config.name,
            "EndpointStatus": "Creating",
            "CreationTime": now,
            "LastModifiedTime": now,
        }
        if deployment:
            described["LastDeploymentConfig"] = deployment
        record = Record(KIND, name, described, now)
        record.live = hosted = Hosted(region, record)
        region.add(record, tags_of(params))
    hosting.attend(region)
    deployments.begin(hosted, lambda: deployments.create(hosted, config.described))
    return {"EndpointArn": region.arn(KIND, name)}


@operation("DescribeEndpoint")
def describe_endpoint(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """How the endpoint stands."""
    shown = existing(region, params["EndpointName"]).describe()
    if region.faults.take({FaultKind.UNKNOWN_STATE}, subjects.ENDPOINT, params["EndpointName"]) is not None:
        shown["EndpointStatus"] = "Hibernating"
    return shown


@operation("ListEndpoints")
def list_endpoints(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """The endpoints of this region."""
    members = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")

    def summary(record: Record) -> dict[str, Any]:
        return {key: record.described[key] for key in members}

    return listed(region.all(KIND), params, answer="Endpoints", summary=summary, status="EndpointStatus")


@operation("UpdateEndpoint")
def update_endpoint(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """Begin to move the endpoint to another configuration."""
    config = endpoint_configs.existing(region, params["EndpointConfigName"])
    hosted = existing(region, params["EndpointName"])
    deployment = params.get("DeploymentConfig")
    if params.get("RetainDeploymentConfig"):
        deployment = deployment or hosted.record.described.get("LastDeploymentConfig")
    plan = _policy(region, deployment, config.described)
    check_config(region, config.described)
    keep = set()
    if params.get("RetainAllVariantProperties"):
        excluded = {one["VariantPropertyType"] for one in params.get("ExcludeRetainedVariantProperties", ())}
        keep = set(updates.PROPERTIES) - excluded
    with region.lock:
        _settled(hosted)
        _check_variants(hosted, config.described, guarded=plan.kind != "ALL_AT_ONCE" or bool(plan.alarms))
        hosted.set("Updating", LastDeploymentConfig=deployment, FailureReason=None)
    deployments.begin(hosted, lambda: updates.update(hosted, config.described, plan, keep))
    return {"EndpointArn": hosted.record.described["EndpointArn"]}


@operation("UpdateEndpointWeightsAndCapacities")
def update_weights(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """Begin to change weights and numbers of instances."""
    hosted = existing(region, params["EndpointName"])
    wanted: dict[str, tuple[float | None, int | None]] = {}
    for one in params["DesiredWeightsAndCapacities"]:
        if "ServerlessUpdateConfig" in one:
            raise invalid("ServerlessUpdateConfig is not emulated by the offline cloud; update the endpoint instead")
        wanted[one["VariantName"]] = (one.get("DesiredWeight"), one.get("DesiredInstanceCount"))
    change(hosted, wanted)
    return {"EndpointArn": hosted.record.described["EndpointArn"]}


def change(hosted: Hosted, wanted: Mapping[str, tuple[float | None, int | None]]) -> None:
    """Begin to change weights and numbers of instances, by variant.

    Raises:
        ServiceError: the endpoint is not in service, or has no such variant.
    """
    with hosted.region.lock:
        _settled(hosted)
        for name, (_, count) in wanted.items():
            member = hosted.member(name)
            if member is None:
                raise invalid(f'Variant "{name}" not found for endpoint "{hosted.name}".')
            if count == 0 and not _may_be_empty(hosted):
                raise invalid(f"DesiredInstanceCount of variant {name} must be at least 1.")
        check_growth(hosted, {name: count for name, (_, count) in wanted.items() if count is not None})
        hosted.set("Updating")
    deployments.begin(hosted, lambda: deployments.rescale(hosted, wanted))


@operation("DeleteEndpoint")
def delete_endpoint(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """Begin to end the endpoint."""
    hosted = existing(region, params["EndpointName"])
    with region.lock:
        if hosted.status not in _AT_REST:
            raise invalid(f'Cannot update in-progress endpoint "{region.arn(KIND, hosted.name)}".')
        if hosted.components:
            raise invalid(
                f"Cannot delete endpoint {hosted.name}: it has inference components. Please delete them first."
            )
        hosted.set("Deleting")
    deployments.begin(hosted, lambda: deployments.delete(hosted, lambda: region.remove(KIND, hosted.name)))
    return {}


@on_restore(KIND)
def restore(region: Region, record: Record) -> None:
    """Have an endpoint that comes back from disk serve again what it served last."""
    hosted, config, variants = Hosted.restored(region, record)
    if hosted.status == "Deleting" or not config:
        region.remove(KIND, record.name)
        return
    record.live = hosted
    if hosted.status != "Failed":
        hosted.set("Updating")
        hosting.attend(region)
        deployments.begin(hosted, lambda: deployments.create(hosted, config, variants))


def existing(region: Region, name: str) -> Hosted:
    """What drives the endpoint of that name.

    Raises:
        ServiceError: there is none.
    """
    found = region.find(KIND, name)
    if found is None or not isinstance(found.live, Hosted):
        raise invalid(f'Could not find endpoint "{region.arn(KIND, name)}".')
    return found.live


def _settled(hosted: Hosted) -> None:
    arn = hosted.record.described["EndpointArn"]
    if hosted.status not in _AT_REST:
        raise invalid(f'Cannot update in-progress endpoint "{arn}".')
    if hosted.status != "InService":
        raise invalid(f'Cannot update endpoint "{arn}" in status {hosted.status}.')


def _policy(region: Region, deployment: Mapping[str, Any] | None, config: Mapping[str, Any]) -> Any:
    counts = [one["InitialInstanceCount"] for one in config["ProductionVariants"] if "InitialInstanceCount" in one]
    plan = policy(deployment, counts)
    check_alarms(region, plan.alarms)
    return plan


def _check_variants(hosted: Hosted, config: Mapping[str, Any], *, guarded: bool) -> None:
    assert hosted.blue is not None
    old, new = set(hosted.blue.members), {one["VariantName"] for one in config["ProductionVariants"]}
    if guarded and old != new:
        raise invalid(
            "The production variant names of the new endpoint configuration must be the same as those of the current "
            f"one for this deployment configuration: {', '.join(sorted(old))}."
        )
    if hosted.components and not all("ModelName" not in one for one in config["ProductionVariants"]):
        raise invalid("An endpoint with inference components cannot be updated to variants with models.")


def _may_be_empty(hosted: Hosted) -> bool:
    """Whether no instance at all is allowed: asynchronous inference, or managed instance scaling."""
    assert hosted.blue is not None
    config = hosted.blue.config
    return "AsyncInferenceConfig" in config or any("ManagedInstanceScaling" in v for v in config["ProductionVariants"])
