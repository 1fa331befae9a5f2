"""One invocation of a model: which variant answers, what goes wrong, and what is measured and captured of it."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cloudops.offline.machines.replicas import Unreachable

from . import capture
from .capture import Exchanged
from .components import Component
from .exchange import MODEL_TIMEOUT, Exchange, TimedOut, exchange
from .hosted import Hosted
from .operations import ServiceError
from .variant_metrics import INVOCATIONS, Measured, add, record

ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
INFERENCE_ID = "X-Amzn-SageMaker-Inference-Id"
#: Bytes of a payload, as the service has it for instances and for serverless endpoints.
_LIMIT, _SERVERLESS_LIMIT = 6291456, 4194304
#: The longest of a model's messages that an error repeats.
_MESSAGE = 1024


@dataclass(frozen=True)
class Answered:
    """What a model answered, and which variant it was."""

    body: bytes
    content_type: str
    variant: str
    attributes: str


def answer(
    hosted: Hosted,
    body: bytes,
    headers: Mapping[str, str],
    *,
    options: Mapping[str, str] | None = None,
    timeout: float = MODEL_TIMEOUT,
    begun: float | None = None,
    queued: bool = False,
) -> Answered:
    """What the endpoint answers to ``body``; measured and captured.

    One that was ``queued`` may be as large as the queue has taken it.

    Raises:
        ServiceError: the model answered with an error, or not at all.
    """
    moment = time.monotonic() if begun is None else begun
    request = Request(hosted, body, headers, options or {}, moment, queued=queued)
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
    return Answered(data, kind, request.variant, seen.answer.headers.get(ATTRIBUTES, ""))


class Request:
    """One request to a model: who answers it, and what is noted of it."""

    def __init__(
        self,
        hosted: Hosted,
        body: bytes,
        headers: Mapping[str, str],
        options: Mapping[str, str],
        begun: float,
        *,
        queued: bool = False,
    ) -> None:
        self.hosted, self.body, self.headers, self.options, self.begun = hosted, body, headers, options, begun
        self.variant, self.target = hosted.pick(options.get("target-variant"), options.get("inference-component"))
        self.serverless = None if isinstance(self.target, Component) else self.target.serverless
        limit = _SERVERLESS_LIMIT if self.serverless else _LIMIT
        if len(body) > limit and not queued:
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
        ids = (self.headers.get(INFERENCE_ID, ""), self.headers.get(ATTRIBUTES, ""))
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
