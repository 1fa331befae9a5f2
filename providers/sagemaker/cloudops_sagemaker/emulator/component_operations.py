"""The operations on inference components."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudops.offline.machines.replicas import Health

from . import deployments, effects, endpoints, images, models
from .components import KIND, Component, component_size
from .hosted import STARTUP, Hosted
from .instances import check_instance
from .keeping import on_restore
from .operations import invalid, operation
from .region import Record, Region
from .serving import Served
from .summaries import listed
from .tags import tags_of

_SUMMARY = (
    "CreationTime",
    "InferenceComponentArn",
    "InferenceComponentName",
    "EndpointArn",
    "EndpointName",
    "VariantName",
    "InferenceComponentStatus",
    "LastModifiedTime",
)
_UNSUPPORTED = {
    "BaseInferenceComponentName": "adapters on a base component",
    "DataCacheConfig": "caching of model data",
    "SchedulingConfig": "placement of copies",
    "InstanceType": "components bound to an instance type",
}


@operation("CreateInferenceComponent")
def create_component(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """Begin to start its copies."""
    name = params["InferenceComponentName"]
    hosted = endpoints.existing(region, params["EndpointName"])
    specification = _specification(params)
    variant = _variant(hosted, params)
    served, health = _served(region, hosted, specification, variant)
    count = params.get("RuntimeConfig", {}).get("CopyCount", 1)
    with region.lock:
        if region.find(KIND, name):
            raise invalid(f'Cannot create already existing inference component "{region.arn(KIND, name)}".')
        now = region.clock.now()
        described = {
            "InferenceComponentName": name,
            "InferenceComponentArn": region.arn(KIND, name),
            "EndpointName": hosted.name,
            "EndpointArn": hosted.record.described["EndpointArn"],
            "VariantName": variant,
            "Specification": _shown(specification),
            "CreationTime": now,
            "LastModifiedTime": now,
            "InferenceComponentStatus": "Creating",
        }
        record = Record(KIND, name, described, now)
        fleet = hosted.fleet(f"{variant}/{name}", served, health)
        record.live = component = Component(record, variant, fleet, count, specification)
        region.add(record, tags_of(params))
        with hosted.lock:
            hosted.components[name] = component
    deployments.begin(hosted, lambda: deployments.scale_component(hosted, component, count))
    return {"InferenceComponentArn": region.arn(KIND, name)}


@operation("DescribeInferenceComponent")
def describe_component(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """How it stands."""
    return existing(region, params["InferenceComponentName"])[1].describe()


@operation("ListInferenceComponents")
def list_components(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """Those of this region, or of an endpoint."""

    def summary(record: Record) -> dict[str, Any]:
        return {key: record.described[key] for key in _SUMMARY}

    records = [
        one
        for one in region.all(KIND)
        if params.get("EndpointNameEquals") in (None, one.described["EndpointName"])
        and params.get("VariantNameEquals") in (None, one.described["VariantName"])
    ]
    status = "InferenceComponentStatus"
    return listed(records, params, answer="InferenceComponents", summary=summary, status=status)


@operation("UpdateInferenceComponentRuntimeConfig")
def update_runtime(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """Begin to have another number of copies."""
    hosted, component = existing(region, params["InferenceComponentName"])
    resize(hosted, component, params["DesiredRuntimeConfig"]["CopyCount"])
    return {"InferenceComponentArn": component.record.described["InferenceComponentArn"]}


@operation("UpdateInferenceComponent")
def update_component(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """Begin to have another number of copies; another model is a new component here."""
    given = sorted(set(params) - {"InferenceComponentName", "RuntimeConfig"})
    if given or "RuntimeConfig" not in params:
        what = ", ".join(given) or "nothing to do"
        raise invalid(f"UpdateInferenceComponent with {what} is not emulated by the offline cloud; create a new one")
    hosted, component = existing(region, params["InferenceComponentName"])
    resize(hosted, component, params["RuntimeConfig"]["CopyCount"])
    return {"InferenceComponentArn": component.record.described["InferenceComponentArn"]}


@operation("DeleteInferenceComponent")
def delete_component(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """Begin to end its copies."""
    hosted, component = existing(region, params["InferenceComponentName"])
    with region.lock:
        _settled(component)
        component.record.described["InferenceComponentStatus"] = "Deleting"

    def work() -> None:
        component.fleet.close()
        with hosted.lock:
            hosted.components.pop(component.name, None)
        region.remove(KIND, component.name)

    deployments.begin(hosted, work)
    return {}


@on_restore(KIND)
def restore(region: Region, record: Record) -> None:
    """Have a component that comes back from disk serve again, with its last number of copies."""
    kept = record.history[-1] if record.history else None
    endpoint = region.find(endpoints.KIND, record.described["EndpointName"])
    if kept is None or endpoint is None or not isinstance(endpoint.live, Hosted):
        region.remove(KIND, record.name)
        return
    hosted, specification, variant = endpoint.live, kept["specification"], record.described["VariantName"]
    served, health = _served(region, hosted, specification, variant)
    fleet = hosted.fleet(f"{variant}/{record.name}", served, health)
    record.live = component = Component(record, variant, fleet, kept["count"], specification)
    with hosted.lock:
        hosted.components[record.name] = component
    record.described["InferenceComponentStatus"] = "Updating"
    deployments.begin(hosted, lambda: deployments.scale_component(hosted, component, component.count))


def existing(region: Region, name: str) -> tuple[Hosted, Component]:
    """The component of that name and its endpoint.

    Raises:
        ServiceError: there is none.
    """
    found = region.find(KIND, name)
    if found is None or not isinstance(found.live, Component):
        raise invalid(f'Could not find inference component "{region.arn(KIND, name)}".')
    return endpoints.existing(region, found.described["EndpointName"]), found.live


def resize(hosted: Hosted, component: Component, count: int) -> None:
    """Begin to have ``count`` copies.

    Raises:
        ServiceError: a change is under way.
    """
    with hosted.region.lock:
        _settled(component)
        component.record.described["InferenceComponentStatus"] = "Updating"
    deployments.begin(hosted, lambda: deployments.scale_component(hosted, component, count))


def _settled(component: Component) -> None:
    status = component.record.described["InferenceComponentStatus"]
    if status not in ("InService", "Failed"):
        arn = component.record.described["InferenceComponentArn"]
        raise invalid(f'Cannot update in-progress inference component "{arn}".')


def _specification(params: Mapping[str, Any]) -> dict[str, Any]:
    if "Specifications" in params or "Specification" not in params:
        raise invalid("Give one Specification; several Specifications are not emulated by the offline cloud")
    found: dict[str, Any] = params["Specification"]
    for member, what in _UNSUPPORTED.items():
        if member in found:
            raise invalid(f"{member} ({what}) is not emulated by the offline cloud")
    if ("ModelName" in found) == ("Container" in found):
        raise invalid("Exactly one of ModelName and Container must be specified for an inference component.")
    if "ComputeResourceRequirements" not in found:
        raise invalid("ComputeResourceRequirements is required for an inference component.")
    return found


def _variant(hosted: Hosted, params: Mapping[str, Any]) -> str:
    if hosted.status != "InService" or hosted.blue is None:
        raise invalid(f"Endpoint {hosted.name} is in status {hosted.status}; it must be InService.")
    variant = str(params.get("VariantName", next(iter(hosted.blue.members))))
    member = hosted.blue.members.get(variant)
    if member is None:
        raise invalid(f'Variant "{variant}" not found for endpoint "{hosted.name}".')
    if member.fleet is not None:
        raise invalid(f"Variant {variant} has a model of its own; inference components need a variant without one.")
    return variant


def _served(region: Region, hosted: Hosted, specification: Mapping[str, Any], variant: str) -> tuple[Served, Health]:
    """What a copy runs, and when it is ready: it gets the cores and the memory that are required for it."""
    startup, needs = specification.get("StartupParameters", {}), specification["ComputeResourceRequirements"]
    endpoint = hosted.record.history[-1]["config"]
    config = next(one for one in endpoint["ProductionVariants"] if one["VariantName"] == variant)
    size = check_instance(config["InstanceType"], 0, "endpoint")
    cpus, memory = component_size(needs, size)
    container, role = _container(region, hosted, specification)
    model = specification.get("ModelName")
    given = models.existing(region, model).described if model else specification
    timeout = startup.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP)
    served = Served(
        region,
        hosted.name,
        container,
        role,
        {},
        cpus,
        effects.of_hosting(endpoint, config, given),
        effects.isolates(endpoint, given),
        startup.get("ModelDataDownloadTimeoutInSeconds"),
    )
    return served, hosted.health(timeout, memory)


def _container(region: Region, hosted: Hosted, specification: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    if "ModelName" in specification:
        model = models.existing(region, specification["ModelName"])
        return models.container_of(model), model.described["ExecutionRoleArn"]
    given = specification["Container"]
    images.find(given["Image"], region.surroundings.images)
    container = {"Image": given["Image"], "Environment": given.get("Environment", {})}
    if "ArtifactUrl" in given:
        container["ModelDataUrl"] = given["ArtifactUrl"]
        models.check_data(region, container)
    return container, hosted.record.history[-1]["config"]["ExecutionRoleArn"]


def _shown(specification: Mapping[str, Any]) -> dict[str, Any]:
    shown = dict(specification)
    if "Container" in shown:
        container = dict(shown["Container"])
        uri = container.pop("Image")
        shown["Container"] = {"DeployedImage": {"SpecifiedImage": uri, "ResolvedImage": uri}, **container}
    return shown
