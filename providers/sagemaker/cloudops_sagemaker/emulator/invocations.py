"""The runtime API: InvokeEndpoint, InvokeEndpointAsync and InvokeEndpointWithResponseStream."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from . import event_stream
from .endpoints import KIND
from .exchange import MODEL_TIMEOUT, Exchange
from .hosted import Hosted
from .identify import body_of
from .invocation import ATTRIBUTES, INFERENCE_ID, Request, answer
from .operations import ServiceError
from .runtime_api import runtime_operation

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from .identify import Call
    from .region import Region

_PREFIX = "HTTP_X_AMZN_SAGEMAKER_"
_PIECE = 65536
_UNSUPPORTED = {
    "target-model": "TargetModel (several models in one container)",
    "target-container-hostname": "TargetContainerHostname (several containers)",
    "enable-explanations": "EnableExplanations (online explanations)",
    "session-id": "SessionId (stateful sessions)",
}


@runtime_operation("InvokeEndpoint")
def invoke(region: Region, call: Call, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer at once."""
    begun = time.monotonic()
    options = _options(environ)
    hosted = _hosted(region, call.resource)
    _check_kind(hosted, asynchronous=False)
    headers = _headers(environ, options, environ.get("HTTP_ACCEPT", ""))
    found = answer(hosted, body_of(environ), headers, options=options, begun=begun)
    sent = [("Content-Type", found.content_type), ("x-Amzn-Invoked-Production-Variant", found.variant)]
    if found.attributes:
        sent.append((ATTRIBUTES, found.attributes))
    start_response("200 OK", [*sent, ("Content-Length", str(len(found.body))), _request_id()])
    return [found.body]


@runtime_operation("InvokeEndpointAsync")
def invoke_async(
    region: Region, call: Call, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Put a request into the queue."""
    options = _options(environ)
    hosted = _hosted(region, call.resource)
    _check_kind(hosted, asynchronous=True)
    if "inputlocation" not in options:
        raise ServiceError("ValidationError", "InputLocation is required; a payload in the request is not emulated.")
    assert hosted.blue is not None
    headers = {"Content-Type": options.get("content-type", "application/octet-stream")}
    headers["Accept"] = options.get("accept", "*/*")
    if "custom-attributes" in options:
        headers[ATTRIBUTES] = options["custom-attributes"]
    config = hosted.blue.config["AsyncInferenceConfig"]
    waiting = hosted.queue.put(options["inputlocation"], headers, config, options)
    body = json.dumps({"InferenceId": waiting.id}).encode()
    sent = [("X-Amzn-SageMaker-OutputLocation", waiting.output), ("Content-Type", "application/json")]
    if waiting.failure:
        sent.append(("X-Amzn-SageMaker-FailureLocation", waiting.failure))
    start_response("202 Accepted", [*sent, ("Content-Length", str(len(body))), _request_id()])
    return [body]


@runtime_operation("InvokeEndpointWithResponseStream")
def invoke_streaming(
    region: Region, call: Call, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Pass on the pieces of an answer as they come."""
    options = _options(environ)
    hosted = _hosted(region, call.resource)
    _check_kind(hosted, asynchronous=False)
    headers = _headers(environ, options, options.get("accept", ""))
    request = Request(hosted, body_of(environ), headers, options, time.monotonic())
    if request.serverless is not None:
        raise ServiceError("ValidationError", "Serverless endpoints do not support response streaming.")
    opened = request.open(MODEL_TIMEOUT)
    seen = request.entered(opened)
    sent = [("X-Amzn-SageMaker-Content-Type", seen.answer.headers.get("Content-Type", "application/octet-stream"))]
    sent += [("x-Amzn-Invoked-Production-Variant", request.variant), _request_id()]
    attributes = seen.answer.headers.get(ATTRIBUTES)
    if attributes:
        sent.append((ATTRIBUTES, attributes))
    start_response("200 OK", [*sent, ("Content-Type", "application/vnd.amazon.eventstream")])
    return _pieces(request, opened, seen)


def _pieces(request: Request, opened: Any, seen: Exchange) -> Iterator[bytes]:
    data = b""
    try:
        while piece := seen.answer.read1(_PIECE):
            data += piece
            yield event_stream.event("PayloadPart", piece)
    except (OSError, http.client.HTTPException) as error:
        members = {
            "Message": str(error) or "the model broke off its answer",
            "ErrorCode": "ModelInvocationTimeExceeded",
        }
        if not isinstance(error, TimeoutError):
            members["ErrorCode"] = "StreamBroken"
        request.failed(500, members["Message"], time.monotonic() - seen.begun)
        yield event_stream.exception("ModelStreamError", members)
        opened.__exit__(None, None, None)
        return
    except BaseException as error:  # the client has left
        opened.__exit__(type(error), error, error.__traceback__)
        raise
    opened.__exit__(None, None, None)
    request.done(seen, data)


def _hosted(region: Region, name: str) -> Hosted:
    found = region.find(KIND, name)
    hosted = found.live if found is not None else None
    if not isinstance(hosted, Hosted) or hosted.blue is None or hosted.status in ("Creating", "Failed", "Deleting"):
        raise ServiceError("ValidationError", f"Endpoint {name} of account {region.account} not found.")
    return hosted


def _check_kind(hosted: Hosted, *, asynchronous: bool) -> None:
    assert hosted.blue is not None
    if asynchronous != ("AsyncInferenceConfig" in hosted.blue.config):
        kind = "async" if not asynchronous else "real-time"
        raise ServiceError(
            "ValidationError", f"Endpoint {hosted.name} of type {kind.upper()} does not support this operation."
        )


def _options(environ: WSGIEnvironment) -> dict[str, str]:
    """The operation's own headers, such as ``target-variant``."""
    found = {
        key.removeprefix(_PREFIX).lower().replace("_", "-"): str(value)
        for key, value in environ.items()
        if key.startswith(_PREFIX)
    }
    for name, what in _UNSUPPORTED.items():
        if name in found:
            raise ServiceError("ValidationError", f"{what} is not emulated by the offline cloud.")
    return found


def _headers(environ: WSGIEnvironment, options: Mapping[str, str], accept: str) -> dict[str, str]:
    """What the container gets."""
    headers = {"Content-Type": environ.get("CONTENT_TYPE") or "application/octet-stream", "Accept": accept or "*/*"}
    if "custom-attributes" in options:
        headers[ATTRIBUTES] = options["custom-attributes"]
    if "inference-id" in options:
        headers[INFERENCE_ID] = options["inference-id"]
    return headers


def _request_id() -> tuple[str, str]:
    return "x-amzn-RequestId", str(uuid.uuid4())
