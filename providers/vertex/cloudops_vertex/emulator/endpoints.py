"""Endpoints: create, get, list, update, delete. What is deployed to them is in :mod:`.deployments`."""

from __future__ import annotations

import re
from typing import Any

from . import crud
from .crud import Kind
from .hosted import Hosted
from .methods import Call, implements
from .protocol.errors import ServiceError, refused
from .request_logging import check_logging, prepare_logging
from .store import Record, shown
from .traffic import check_split

_UPDATABLE = ("display_name", "description", "labels", "traffic_split", "predict_request_response_logging_config")
KIND = Kind(
    "Endpoint",
    "endpoints",
    (*_UPDATABLE, "client_connection_config"),
    ids=re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"),
    missing="Endpoint {name} is not found.",
)
_NOT_EMULATED = (
    "network",
    "private_service_connect_config",
    "enable_private_service_connect",
    "gen_ai_advanced_features_config",
)


@implements("EndpointService.CreateEndpoint")
def create(call: Call, request: Any) -> Any:
    """An endpoint without a model; it costs nothing."""
    message = crud.prepared(call, KIND, request)
    given = {field.name for field, _ in message.ListFields()}
    if left := sorted(given.intersection(_NOT_EMULATED)):
        raise ServiceError("UNIMPLEMENTED", f"Not emulated by the offline cloud: endpoint.{left[0]}. Leave it out.")
    check_logging(message)
    if message.traffic_split:
        raise refused([("endpoint.traffic_split", "There is no DeployedModel yet that could get traffic.")])
    with call.site.store.lock:
        name = crud.place(call, KIND, request.parent, request.endpoint_id)
        own = call.site.store.canonical(name)
        if message.dedicated_endpoint_enabled:
            message.dedicated_endpoint_dns = f"{own.id}.{own.location}-{own.project}.prediction.vertexai.goog"
        record = call.site.store.add(name, message)
        record.live = Hosted(call.site, record)
        prepare_logging(call.site, record)
    begun = call.site.operations.begin(call, name, "CreateEndpointOperationMetadata")
    call.site.operations.finish(begun.name, crud.answered(call, "Endpoint", name=message.name))
    return begun


@implements("EndpointService.GetEndpoint")
def get(call: Call, request: Any) -> Any:
    """An endpoint and what is deployed to it."""
    return crud.get(call, KIND, request)


@implements("EndpointService.ListEndpoints")
def list_endpoints(call: Call, request: Any) -> Any:
    """A page of endpoints."""
    return crud.list_all(call, KIND, request, "endpoints")


@implements("EndpointService.UpdateEndpoint")
def update(call: Call, request: Any) -> Any:
    """Change an endpoint; its traffic goes by the new split from then on. The answer has no etag, as recorded."""

    def check(record: Record, future: Any) -> None:
        if dict(future.traffic_split) != dict(record.message.traffic_split):
            check_split(future.traffic_split, [one.id for one in record.message.deployed_models])
        check_logging(future)

    with call.site.store.lock:
        record = crud.update(call, KIND, request, check)
        prepare_logging(call.site, record)
        answer = shown(record.message, call.version)
    answer.ClearField("etag")
    return answer


@implements("EndpointService.DeleteEndpoint")
def delete(call: Call, request: Any) -> Any:
    """Forget an endpoint to which nothing is deployed."""
    with call.site.store.lock:
        record = crud.find(call, KIND, request.name)
        if record.message.deployed_models or record.live.deploying:
            text = f"Endpoint {request.name} has deployed or being-deployed DeployedModel(s)."
            raise ServiceError("FAILED_PRECONDITION", text)
        return crud.delete(call, record)
