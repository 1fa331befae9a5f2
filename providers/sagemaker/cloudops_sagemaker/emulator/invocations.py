"""The runtime API: InvokeEndpoint, InvokeEndpointAsync and InvokeEndpointWithResponseStream."""

from __future__ import annotations

import http.client
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import capture, event_stream
from .capture import Exchanged
from .components import Component
from .endpoints import KIND
from .exchange import MODEL_TIMEOUT, Exchange, TimedOut, exchange
from .hosted import Hosted
from .identify import body_of
from .operations import ServiceError
from .replicas import Unreachable
from .runtime_api import runtime_operation
from .variant_metrics import INVOCATIONS, Measured, add, record

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from .identify import Call
    from .region import Region

#: Bytes of a payload, as the service has it for instances and for serverless endpoints.
_LIMIT, _SERVERLESS_LIMIT = 6291456, 4194304
_PREFIX = "HTTP_X_AMZN_SAGEMAKER_"
_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
_PIECE = 65536
#: The longest of a model's messages that an error repeats.
_MESSAGE = 1024
_UNSUPPORTED = {
    "target-model": "TargetModel (several models in one container)",
    "target-container-hostname": "TargetContainerHostname (several containers)",
    "enable-explanations": "EnableExplanations (online explanations)",
    "session-id": "SessionId (stateful sessions)",
}


@dataclass(frozen=True)
class Answered:
    """What a model answered, and which variant it was."""

    body: bytes
    content_type: str
    variant: str
    attributes: str


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
        sent.append((_ATTRIBUTES, found.attributes))
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
        headers[_ATTRIBUTES] = options["custom-attributes"]
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
    request = _Request(hosted, body_of(environ), headers, options, time.monotonic())
    if request.serverless is not None:
        raise ServiceError("ValidationError", "Serverless endpoints do not support response streaming.")
    opened = request.open(MODEL_TIMEOUT)
    seen = request.entered(opened)
    sent = [("X-Amzn-SageMaker-Content-Type", seen.answer.headers.get("Content-Type", "application/octet-stream"))]
    sent += [("x-Amzn-Invoked-Production-Variant", request.variant), _request_id()]
    attributes = seen.answer.headers.get(_ATTRIBUTES)
    if attributes:
        sent.append((_ATTRIBUTES, attributes))
    start_response("200 OK", [*sent, ("Content-Type", "application/vnd.amazon.eventstream")])
    return _pieces(request, opened, seen)


def answer(
    hosted: Hosted,
    body: bytes,
    headers: Mapping[str, str],
    *,
    options: Mapping[str, str] | None = None,
    timeout: float = MODEL_TIMEOUT,
    begun: float | None = None,
) -> Answered:
    """What the endpoint answers to ``body``; measured and captured.

    Raises:
        ServiceError: the model answered with an error, or not at all.
    """
    request = _Request(hosted, body, headers, options or {}, time.monotonic() if begun is None else begun)
    opened = request.open(timeout)
    seen = request.entered(opened)
    try:
        data = seen.answer.read()
    except (TimeoutError, http.client.HTTPException, OSError) as error:
        opened.__exit__(type(error), error, error.__traceback__)
        raise request.failed(0, str(error), time.monotonic() - seen.begun) from None
    opened.__exit__(None, None, None)
    request.done(seen, data)
    kind = seen.answer.headers.get("Content-Type", "application/octet-stream")
    return Answered(data, kind, request.variant, seen.answer.headers.get(_ATTRIBUTES, ""))


class _Request:
    """One request to a model: who answers it, and what is noted of it."""

    def __init__(
        self, hosted: Hosted, body: bytes, headers: Mapping[str, str], options: Mapping[str, str], begun: float
    ) -> None:
        self.hosted, self.body, self.headers, self.options, self.begun = hosted, body, headers, options, begun
        self.variant, self.target = hosted.pick(options.get("target-variant"), options.get("inference-component"))
        self.serverless = None if isinstance(self.target, Component) else self.target.serverless
        limit = _SERVERLESS_LIMIT if self.serverless else _LIMIT
        if len(body) > limit:
            raise ServiceError("413", f"HTTP content length exceeded {limit} bytes.", 413)
        self.waited = 0.0

    @property
    def dimensions(self) -> dict[str, str]:
        """Of the variant, in CloudWatch."""
        return {"EndpointName": self.hosted.name, "VariantName": self.variant}

    def open(self, timeout: float) -> Any:
        """The exchange with an instance, not begun yet."""
        fleet = self.target.fleet
        if fleet is None:
            raise ServiceError("ValidationError", "InferenceComponentName is required to invoke this endpoint.")
        if isinstance(self.target, Component) and not self.target.count:
            names = {"InferenceComponentName": self.target.name}
            add(self.hosted.region, INVOCATIONS, names, {"NoCapacityInvocationFailures": (1.0, "Count")})
            raise ServiceError(
                "ValidationError",
                "Inference Component has no capacity to process this request. ApplicationAutoScaling may be "
                "in-progress (if configured) or try to increase the capacity by invoking "
                "UpdateInferenceComponentRuntimeConfig API.",
            )
        limit = None if self.serverless is None else self.serverless["MaxConcurrency"]
        return exchange(fleet, self.body, self.headers, timeout=timeout, limit=limit)

    def entered(self, opened: Any) -> Exchange:
        """The answer's beginning; its body is still to be read.

        Raises:
            ServiceError: there is none, or it is an error.
        """
        asked = time.monotonic()
        try:
            seen: Exchange = opened.__enter__()
        except TimedOut:
            text = "Your invocation timed out while waiting for a response from container primary. Review the latency "
            text += "metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
            raise self.failed(0, text, time.monotonic() - asked) from None
        except Unreachable:
            raise self.failed(500, "the container hung up before it answered", time.monotonic() - asked) from None
        if seen.cold:
            setup = {"ModelSetupTime": (round(seen.cold * 1e6), "Microseconds")}
            add(self.hosted.region, INVOCATIONS, self.dimensions, setup)
        if not 200 <= seen.answer.status < 300:
            message = seen.answer.read().decode("utf-8", "replace")
            opened.__exit__(None, None, None)
            error = self.failed(seen.answer.status, message, time.monotonic() - seen.begun, seen.replica.id)
            raise error
        return seen

    def failed(self, status: int, message: str, model: float, instance: str = "") -> ServiceError:
        """Note a failure; the error that the caller is answered."""
        self._measure(status, model)
        region, name = self.hosted.region, self.hosted.name
        group = f"/aws/sagemaker/Endpoints/{name}"
        stream = f":log-stream:{self.variant}/{instance}" if instance else ":*"
        kind = "client" if 400 <= status < 500 else "server"
        text = (
            f'Received {kind} error ({status}) from primary with message "{message[:_MESSAGE]}". See '
            f"https://{region.name}.console.aws.amazon.com/cloudwatch/home?region={region.name}#logEventViewer:"
            f"group={group} in account {region.account} for more information."
        )
        arn = f"arn:{region.partition}:logs:{region.name}:{region.account}:log-group:{group}{stream}"
        members = {"OriginalStatusCode": status, "OriginalMessage": message[:_MESSAGE], "LogStreamArn": arn}
        return ServiceError("ModelError", text, 424, **members)

    def done(self, seen: Exchange, data: bytes) -> None:
        """Note a success."""
        self._measure(seen.answer.status, time.monotonic() - seen.begun)
        config = None if isinstance(self.target, Component) else self.target.capture
        if config is None or not capture.wanted(config):
            return
        if self.hosted.draw.random() * 100 >= config["InitialSamplingPercentage"]:
            return
        kind = seen.answer.headers.get("Content-Type", "")
        ids = (self.headers.get(_INFERENCE_ID, ""), self.headers.get(_ATTRIBUTES, ""))
        sent = Exchanged(self.body, self.headers.get("Content-Type", ""), data, kind, *ids)
        self.hosted.capture.add(self.variant, config, sent)

    def _measure(self, status: int, model: float) -> None:
        region, fleet = self.hosted.region, self.target.fleet
        ready = fleet.ready() if fleet else 1
        overhead = max(0.0, time.monotonic() - self.begun - model)
        record(region, self.dimensions, Measured(status, model, overhead, ready))
        if isinstance(self.target, Component):
            per_copy = {"InvocationsPerCopy": (1.0 / max(ready, 1), "None")}
            add(region, INVOCATIONS, {"InferenceComponentName": self.target.name}, per_copy)


def _pieces(request: _Request, opened: Any, seen: Exchange) -> Iterator[bytes]:
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
        headers[_ATTRIBUTES] = options["custom-attributes"]
    if "inference-id" in options:
        headers[_INFERENCE_ID] = options["inference-id"]
    return headers


def _request_id() -> tuple[str, str]:
    return "x-amzn-RequestId", str(uuid.uuid4())
