"""The prediction service: Predict, RawPredict and StreamRawPredict."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from . import crud
from .endpoints import KIND
from .exchange import TIMEOUT, exchange
from .methods import Call, implements
from .protocol.errors import ServiceError, refused
from .request_logging import log
from .serving_metrics import Told
from .traffic import pick

if TYPE_CHECKING:
    from cloudops.offline.machines.fleets import Fleet

    from .hosted import Hosted
    from .serving import Served
    from .store import Record

#: Bytes of a request and of an answer: of shared public endpoints, and of dedicated ones.
_LIMIT, _DEDICATED_LIMIT = 1_572_864, 10_485_760
_PIECE = 65536
_ANSWERS = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
_MESSAGE = 4096


@dataclass(frozen=True)
class Target:
    """Who answers a request: the endpoint, the deployed model, its replicas."""

    endpoint: Record
    deployed: Any
    served: Served
    fleet: Fleet

    @property
    def limit(self) -> int:
        """Bytes of a request or of an answer."""
        return _DEDICATED_LIMIT if self.endpoint.message.dedicated_endpoint_enabled else _LIMIT

    @property
    def told(self) -> Told:
        """What its metrics are told by."""
        return Told(self.served.site, self.endpoint.name, self.deployed.id)

    @property
    def timeout(self) -> float:
        """Seconds that the model may take."""
        config = self.endpoint.message.client_connection_config
        return float(config.inference_timeout.seconds) or TIMEOUT


@implements("PredictionService.Predict")
def predict(call: Call, request: Any) -> Any:
    """Predict instances, which are JSON values; the server's ``predictions`` are the answer's."""
    target = _target(call, request.endpoint)
    asked: dict[str, Any] = {"instances": [_plain(json_format.MessageToDict(one)) for one in request.instances]}
    if request.HasField("parameters"):
        asked["parameters"] = _plain(json_format.MessageToDict(request.parameters))
    body = json.dumps(asked).encode()
    data = _ask(target, body, "application/json")[0]
    told = [json.dumps(one) for one in asked["instances"]]
    answer = call.answer(deployed_model_id=target.deployed.id, model=target.deployed.model)
    answer.model_display_name = target.served.model.message.display_name
    answer.model_version_id = target.deployed.model_version_id
    try:
        value = json.loads(data)
        for one in value["predictions"]:
            json_format.ParseDict(one, answer.predictions.add())
    except (ValueError, KeyError, TypeError, json_format.ParseError):
        text = "The model server's answer is no JSON object with a list of predictions."
        raise ServiceError("FAILED_PRECONDITION", f"{text} It begins with: {data[:200]!r}") from None
    log(call.site, target.endpoint, target.deployed.id, told, [json.dumps(one) for one in value["predictions"]])
    if "metadata" in value:
        json_format.ParseDict(value["metadata"], answer.metadata)
    return answer


@implements("PredictionService.RawPredict")
def raw_predict(call: Call, request: Any) -> Any:
    """Hand a body to the server, and its answer back, as they are."""
    target = _target(call, request.endpoint)
    _tell(call, target)
    body = request.http_body.data
    data, kind = _ask(target, body, request.http_body.content_type or "application/json")
    log(
        call.site,
        target.endpoint,
        target.deployed.id,
        [body.decode("utf-8", "replace")],
        [data.decode("utf-8", "replace")],
    )
    return call.answer(content_type=kind, data=data)


@implements("PredictionService.StreamRawPredict")
def stream_raw_predict(call: Call, request: Any) -> Iterator[Any]:
    """The same, with the answer in pieces as they come."""
    target = _target(call, request.endpoint)
    _tell(call, target)
    body, kind = request.http_body.data, request.http_body.content_type or "application/json"
    _check_size(target, len(body), "request")
    return _pieces(call, target, body, kind)


def _tell(call: Call, target: Target) -> None:
    """Who answers is told in headers, of raw predictions alone: their messages have no field for it."""
    call.headers["X-Vertex-AI-Endpoint-Id"] = target.endpoint.name.id
    call.headers["X-Vertex-AI-Deployed-Model-Id"] = target.deployed.id


def _pieces(call: Call, target: Target, body: bytes, kind: str) -> Iterator[Any]:
    begun = time.monotonic()
    with exchange(target.fleet, target.served.predict_route, body, {"Content-Type": kind}, target.timeout) as answer:
        if answer.status >= 300:
            raise _failed(target, answer.status, answer.read(), begun)
        sent = answer.headers.get("Content-Type", "application/octet-stream")
        while piece := answer.read1(_PIECE):
            yield call.answer(content_type=sent, data=piece)
    target.told.request(answer.status, time.monotonic() - begun)


def _ask(target: Target, body: bytes, kind: str) -> tuple[bytes, str]:
    """The server's answer and its type; measured.

    Raises:
        ServiceError: it answered with an error, or not at all.
    """
    _check_size(target, len(body), "request")
    begun = time.monotonic()
    headers = {"Content-Type": kind, "Accept": "*/*"}
    try:
        with exchange(target.fleet, target.served.predict_route, body, headers, target.timeout) as answer:
            data = answer.read()
    except (TimeoutError, http.client.HTTPException, OSError) as error:
        target.told.request(503, time.monotonic() - begun)
        raise ServiceError("UNAVAILABLE", f"The model server broke off its answer: {error}") from None
    except ServiceError as error:
        target.told.request(error.status, time.monotonic() - begun)
        raise
    if not 200 <= answer.status < 300:
        raise _failed(target, answer.status, data, begun)
    _check_size(target, len(data), "response")
    target.told.request(answer.status, time.monotonic() - begun)
    return data, answer.headers.get("Content-Type", "application/octet-stream")


def _failed(target: Target, status: int, data: bytes, begun: float) -> ServiceError:
    """The error for a server that answered with one: its body is the text."""
    target.told.request(status, time.monotonic() - begun)
    default = "FAILED_PRECONDITION" if status < 500 else "INTERNAL"
    return ServiceError(_ANSWERS.get(status, default), data.decode("utf-8", "replace")[:_MESSAGE])


def _plain(value: Any) -> Any:
    """A JSON value whose whole numbers are such: a message has them as floating-point numbers, and is written so."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value


def _check_size(target: Target, size: int, what: str) -> None:
    if size > target.limit:
        text = f"The {what} size ({size} bytes) exceeds {target.limit / 2**20:.3f}MB limit."
        raise ServiceError("INVALID_ARGUMENT", text)


def _target(call: Call, name: str) -> Target:
    with call.site.store.lock:
        endpoint = crud.find(call, KIND, name, "endpoint")
        hosted: Hosted = endpoint.live
        _check_domain(call, endpoint)
        wanted = pick(endpoint.message.traffic_split, hosted.draw)
        if wanted is None or wanted not in hosted.fleets:
            what = "no DeployedModel with traffic" if endpoint.message.deployed_models else "no DeployedModel"
            raise ServiceError("FAILED_PRECONDITION", f"Endpoint {endpoint.name} has {what}.")
        deployed = next(one for one in endpoint.message.deployed_models if one.id == wanted)
        hosted.asked(wanted)
        return Target(endpoint, deployed, hosted.served[wanted], hosted.fleets[wanted])


def _check_domain(call: Call, endpoint: Record) -> None:
    """A dedicated endpoint answers at its own name only."""
    dns = endpoint.message.dedicated_endpoint_dns
    if dns and call.host != dns:
        text = (
            "This endpoint cannot be accessed through the shared Vertex AI domain "
            f"{call.host}. Please access the endpoint using its dedicated dns name '{dns}'"
        )
        raise refused([("endpoint", text)])
