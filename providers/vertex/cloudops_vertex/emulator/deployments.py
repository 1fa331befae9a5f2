"""What is deployed to an endpoint: DeployModel, UndeployModel, MutateDeployedModel."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cloudops.offline.faults import FaultKind
from cloudops.offline.machines.fleets import FleetFailed

from . import masks, subjects
from .crud import answered, find
from .endpoints import KIND
from .hosted import Hosted
from .hosting import SCALED_BY
from .machine_types import check_machine, machine_type
from .methods import Call, implements
from .model_names import version, whole
from .protocol.behaviour import clear_output_only
from .protocol.errors import ServiceError, refused
from .serving import Served
from .store import Record, kept, shown, stamp
from .traffic import NEW, check_split

if TYPE_CHECKING:
    from .site import Site

_MUTABLE = ("dedicated_resources", "disable_container_logging", "enable_access_logging", "automatic_resources")
_NOT_EMULATED = ("automatic_resources", "shared_resources", "explanation_spec", "speculative_decoding_spec")
_WITHOUT_EFFECT = ("enable_access_logging", "disable_container_logging", "faster_deployment_config", "system_labels")
_MACHINES_WITHOUT_EFFECT = ("spot", "required_replica_count", "flex_start", "initial_replica_count")
#: An id that the caller chooses; the service's own are longer.
_ID = re.compile(r"(?!0$)[0-9]{1,10}")
_DEFAULT_MACHINE = "n1-standard-2"


@implements("EndpointService.DeployModel")
def deploy(call: Call, request: Any) -> Any:
    """Deploy a model; traffic moves once as many of its replicas as asked for are healthy."""
    wanted = kept(request.deployed_model)
    clear_output_only(wanted)
    with call.site.store.lock:
        endpoint = find(call, KIND, request.endpoint, "endpoint")
        model = version(call, wanted.model, "deployed_model.model")
        served = _served(call, endpoint, model, wanted)
        taken = {one.id for one in endpoint.message.deployed_models} | endpoint.live.deploying
        if wanted.id in taken:
            raise ServiceError("ALREADY_EXISTS", f"DeployedModel {wanted.id} already exists in {endpoint.name}.")
        split = dict(request.traffic_split)
        if split:
            check_split(split, [NEW, *(one.id for one in endpoint.message.deployed_models)], "traffic_split")
        endpoint.live.deploying.add(wanted.id)
        begun = call.site.operations.begin(call, endpoint.name, "DeployModelOperationMetadata")

    def work() -> Any:
        _start(endpoint, served, wanted)
        with call.site.store.lock:
            _enter(call, endpoint, model, wanted, split)
            told = shown(wanted, call.version)
        return answered(call, "DeployModelResponse", deployed_model={"id": told.id})

    def after() -> None:
        endpoint.live.deploying.discard(wanted.id)

    call.site.drive(lambda: _run(call, begun.name, work, after))
    return begun


def _served(call: Call, endpoint: Record, model: Record, wanted: Any) -> Served:
    """Check what is to be deployed, fill in what the service does, and say what its replicas run."""
    given = {field.name for field, _ in wanted.ListFields()}
    for name in _NOT_EMULATED:
        if name in given:
            raise ServiceError("UNIMPLEMENTED", f"Not emulated by the offline cloud: deployed_model.{name}.")
    if "dedicated_resources" not in given:
        raise refused([("deployed_model.dedicated_resources", "Dedicated resources must be specified for this Model.")])
    resources = wanted.dedicated_resources
    if not resources.machine_spec.machine_type:
        resources.machine_spec.machine_type = _DEFAULT_MACHINE
    field = "deployed_model.dedicated_resources"
    size = check_machine(resources.machine_spec, f"{field}.machine_spec", "custom_model_serving")
    _check_replicas(resources, field)
    if wanted.id and not _ID.fullmatch(wanted.id):
        raise refused([("deployed_model.id", "The DeployedModel ID must be 1-10 digits.")])
    wanted.id = wanted.id or str(10**18 + secrets.randbelow(8 * 10**18))
    wanted.model, wanted.model_version_id = model.message.name, model.message.version_id
    wanted.display_name = wanted.display_name or model.message.display_name
    return Served(call.site, endpoint.name.id, wanted.id, model, size, wanted.service_account, _unused(wanted))


def _unused(wanted: Any) -> list[str]:
    """What a deployed model asks for that has no effect here."""
    given = {field.name for field, _ in wanted.ListFields()}
    of_machines = {field.name for field, _ in wanted.dedicated_resources.ListFields()}
    return [
        *(name for name in _WITHOUT_EFFECT if name in given),
        *(f"dedicated_resources.{name}" for name in _MACHINES_WITHOUT_EFFECT if name in of_machines),
    ]


def _check_replicas(resources: Any, field: str) -> None:
    other = [one.metric_name for one in resources.autoscaling_metric_specs if one.metric_name not in SCALED_BY]
    if other:
        text = f"Not emulated by the offline cloud: {field}.autoscaling_metric_specs by {other[0]}; use {SCALED_BY[0]}."
        raise ServiceError("UNIMPLEMENTED", text)
    low, high = resources.min_replica_count, resources.max_replica_count
    if low < 1:
        raise refused([(f"{field}.min_replica_count", "The minimum replica count must be at least 1.")])
    if high and high < low:
        raise refused([(f"{field}.max_replica_count", "The maximum replica count must not be below the minimum.")])
    resources.max_replica_count = high or low


def _start(endpoint: Record, served: Served, wanted: Any) -> None:
    """Have as many replicas as asked for; what was started is ended where they do not come up.

    Raises:
        ServiceError: they do not.
    """
    hosted: Hosted = endpoint.live
    site, name = hosted.site, endpoint.message.display_name
    while (rule := site.faults.take([FaultKind.NO_CAPACITY], subjects.ENDPOINT, name)) is not None:
        site.clock.wait(rule.lasts, hosted.stopped)
        text = "Machine type temporarily unavailable, please deploy with a different machine type or retry."
        raise ServiceError("RESOURCE_EXHAUSTED", text)
    fleet = hosted.fleet(wanted.id, served)
    try:
        fleet.prepare()
        fleet.scale(wanted.dedicated_resources.min_replica_count)
        if not fleet.wait(stop=hosted.stopped):
            raise ServiceError("CANCELLED", "the offline cloud was closed while the model was deployed")
    except BaseException as error:
        _close(hosted, wanted.id)
        if isinstance(error, FleetFailed):
            raise ServiceError("FAILED_PRECONDITION", _failure(endpoint, wanted, str(error))) from error
        raise


def revive(site: Site, endpoint: Record) -> None:
    """Have an endpoint that comes back from disk run again; its replicas come up in their own time."""
    hosted = endpoint.live = Hosted(site, endpoint)
    for deployed in endpoint.message.deployed_models:
        model = next((one for one in site.store.all("models") if whole(one.message) == _wanted(deployed)), None)
        size = machine_type(deployed.dedicated_resources.machine_spec.machine_type)
        if model is not None and size is not None:
            served = Served(site, endpoint.name.id, deployed.id, model, size, deployed.service_account)
            hosted.fleet(deployed.id, served).scale(deployed.dedicated_resources.min_replica_count)


def _wanted(deployed: Any) -> str:
    return f"{deployed.model}@{deployed.model_version_id}"


def _failure(endpoint: Record, wanted: Any, reason: str) -> str:
    link = (
        f"https://console.cloud.google.com/logs/viewer?project={endpoint.name.project}&resource="
        f"aiplatform.googleapis.com%2FEndpoint%2Fendpoint_id%2F{endpoint.name.id}"
    )
    return (
        "Model server never became ready. Please validate that your model file or container configuration are valid. "
        f"Model server logs can be found at {link} (DeployedModel {wanted.id}: {reason})"
    )


def _close(hosted: Hosted, deployed: str) -> None:
    fleet = hosted.drop(deployed)
    if fleet is not None:
        fleet.close(drain=False)


def _enter(call: Call, endpoint: Record, model: Record, wanted: Any, split: dict[str, int]) -> None:
    """Have what was deployed be told, and get its traffic."""
    message, store = endpoint.message, call.site.store
    stamp(wanted.create_time, call.site.clock.now())
    alone = not message.deployed_models
    message.deployed_models.append(wanted)
    new = {wanted.id if one == NEW else one: percent for one, percent in split.items()}
    if new or alone:
        message.traffic_split.clear()
        message.traffic_split.update(new or {wanted.id: 100})
    store.touch(endpoint)
    model.message.deployed_models.add(endpoint=message.name, deployed_model_id=wanted.id)
    store.touch(model)


@implements("EndpointService.UndeployModel")
def undeploy(call: Call, request: Any) -> Any:
    """Take a deployed model out of service; open requests are answered."""
    with call.site.store.lock:
        endpoint = find(call, KIND, request.endpoint, "endpoint")
        _existing(endpoint, request.deployed_model_id)
        left = [one.id for one in endpoint.message.deployed_models if one.id != request.deployed_model_id]
        split = dict(request.traffic_split)
        check_split(split, left, "traffic_split")
        if not split and left and endpoint.message.traffic_split.get(request.deployed_model_id):
            text = f"DeployedModel {request.deployed_model_id} has traffic; give a traffic split for the others."
            raise ServiceError("FAILED_PRECONDITION", text)
        begun = call.site.operations.begin(call, endpoint.name, "UndeployModelOperationMetadata")

    def work() -> Any:
        with call.site.store.lock:
            _leave(call, endpoint, request.deployed_model_id, split)
        fleet = endpoint.live.drop(request.deployed_model_id)
        if fleet is not None:
            fleet.close()
        return answered(call, "UndeployModelResponse")

    call.site.drive(lambda: _run(call, begun.name, work))
    return begun


def _leave(call: Call, endpoint: Record, deployed: str, split: dict[str, int]) -> None:
    message, store = endpoint.message, call.site.store
    rest = [one for one in message.deployed_models if one.id != deployed]
    gone = next((one for one in message.deployed_models if one.id == deployed), None)
    kept_split = {one: percent for one, percent in message.traffic_split.items() if one != deployed}
    copies = [type(one).FromString(one.SerializeToString()) for one in rest]
    del message.deployed_models[:]
    message.deployed_models.extend(copies)
    message.traffic_split.clear()
    message.traffic_split.update(split or kept_split)
    store.touch(endpoint)
    if gone is None:
        return
    for model in store.all("models"):
        if whole(model.message) == _wanted(gone):
            others = [one for one in model.message.deployed_models if one.deployed_model_id != deployed]
            others = [type(one).FromString(one.SerializeToString()) for one in others]
            del model.message.deployed_models[:]
            model.message.deployed_models.extend(others)
            store.touch(model)


@implements("EndpointService.MutateDeployedModel")
def mutate(call: Call, request: Any) -> Any:
    """Change how many replicas a deployed model has, or its logging."""
    given = kept(request.deployed_model)
    with call.site.store.lock:
        endpoint = find(call, KIND, request.endpoint, "endpoint")
        deployed = _existing(endpoint, given.id)
        future = type(deployed).FromString(deployed.SerializeToString())
        masks.update(future, given, request.update_mask.paths, _MUTABLE)
        _check_replicas(future.dedicated_resources, "deployed_model.dedicated_resources")
        if future.dedicated_resources.machine_spec != deployed.dedicated_resources.machine_spec:
            raise refused([("update_mask", "The machine of a DeployedModel cannot be changed.")])
        deployed.CopyFrom(future)
        call.site.store.touch(endpoint)
        told = shown(future, call.version)
        begun = call.site.operations.begin(call, endpoint.name, "MutateDeployedModelOperationMetadata")

    def work() -> Any:
        hosted: Hosted = endpoint.live
        fleet, resources = hosted.fleets.get(given.id), future.dedicated_resources
        if fleet is not None:
            fleet.scale(min(max(fleet.desired, resources.min_replica_count), resources.max_replica_count))
            fleet.wait(stop=hosted.stopped)
        return answered(call, "MutateDeployedModelResponse", deployed_model=told)

    call.site.drive(lambda: _run(call, begun.name, work))
    return begun


def _existing(endpoint: Record, deployed: str) -> Any:
    for one in endpoint.message.deployed_models:
        if one.id == deployed:
            return one
    raise ServiceError("NOT_FOUND", f"DeployedModel {deployed} is not found in {endpoint.name}.")


def _run(call: Call, operation: str, work: Callable[[], Any], after: Callable[[], None] = lambda: None) -> None:
    """Have an operation end as ``work`` does."""
    operations = call.site.operations
    try:
        response = work()
    except ServiceError as error:
        after()
        operations.fail(operation, error)
    except Exception as error:
        after()
        operations.fail(operation, ServiceError("INTERNAL", f"the offline cloud failed: {error!r}"))
    else:
        after()
        operations.finish(operation, response)
