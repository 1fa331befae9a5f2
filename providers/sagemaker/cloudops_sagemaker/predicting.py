"""One request to an endpoint."""

from __future__ import annotations

import json
import re
import time
import uuid
from typing import TYPE_CHECKING, Any

from cloudops.errors import InvalidRequest, NotFound, ProviderError, Unavailable
from cloudops.provider import Answer
from cloudops.refs import Ref

from .errors import code_of, is_kind

if TYPE_CHECKING:
    from .client import Client

#: The largest body that a real-time endpoint takes, in bytes.
LARGEST = 25 << 20
#: What the service says of an endpoint whose requests go through a queue.
_QUEUED = re.compile(r"\basync", re.IGNORECASE)
#: Begins the identifier of a request, which a captured one keeps: the service rounds its own time to seconds.
SENT = "cloudops-"
_TRACEBACK = re.compile(r"\s+Traceback \(most recent call last\)")
_TEXT = ("application/json", "text/csv")


def send(client: Client, ref: Ref, body: bytes, *, content_type: str, variant: str | None) -> Answer:
    """Send ``body`` and give back what came.

    Raises:
        InvalidRequest: it is too large, no text though its type says so, or the model refuses it, with its reason.
        ProviderError: the model failed.
    """
    _check(ref, body, content_type)
    if len(body) > LARGEST:  # only a queue takes more
        from .queued import send_queued

        return send_queued(client, ref, body, content_type=content_type)
    target = {"TargetVariant": variant} if variant else {}
    try:
        answer = client.service("sagemaker-runtime").invoke_endpoint(
            EndpointName=ref.id,
            Body=body,
            ContentType=content_type,
            Accept="application/json",
            InferenceId=f"{SENT}{time.time():.6f}-{uuid.uuid4().hex[:8]}",
            **target,
        )
    except Exception as error:
        if code_of(error) == "ValidationError" and _QUEUED.search(str(error)):
            from .queued import send_queued

            return send_queued(client, ref, body, content_type=content_type)
        if code_of(error) == "ModelError":
            raise _refused(ref, getattr(error, "response", {})) from error
        if variant and is_kind(error, NotFound):
            text = f"the endpoint {ref.id} has no version {variant.removeprefix('v-')} that serves"
            raise NotFound(text, provider="sagemaker", operation="predict", ref=ref) from error
        raise
    served = str(answer.get("InvokedProductionVariant", ""))
    version = served.removeprefix("v-") if served.startswith("v-") else ""
    return Answer(answer["Body"].read(), str(answer.get("ContentType", "")), version)


def _check(ref: Ref, body: bytes, content_type: str) -> None:
    """What the service or the images' toolkits would answer without a reason."""
    kind = content_type.partition(";")[0].strip().lower()
    where: dict[str, Any] = {"provider": "sagemaker", "operation": "predict", "ref": ref}
    if kind in _TEXT:
        try:
            body.decode("utf-8")
        except UnicodeDecodeError as error:
            text = f"the body for the endpoint {ref.id} is {kind} and not UTF-8: {error.reason} at byte {error.start}"
            raise InvalidRequest(text, **where) from error


def _refused(ref: Ref, response: dict[str, Any]) -> ProviderError:
    """The model's own status and reason, which the service hands on within its error."""
    status = int(response.get("OriginalStatusCode") or 500)
    told = reason(str(response.get("OriginalMessage") or response.get("Error", {}).get("Message", "")))
    kind = kind_of(status)
    request = response.get("ResponseMetadata", {}).get("RequestId")
    return kind(
        f"the endpoint {ref.id} answered {status}: {told}",
        code=f"ModelError {status}",
        request_id=request,
        provider="sagemaker",
        operation="predict",
        ref=ref,
    )


def kind_of(status: int) -> type[ProviderError]:
    """The class of what a model answered."""
    kind: type[ProviderError] = InvalidRequest if 400 <= status < 500 else ProviderError
    return {503: Unavailable, 504: Unavailable}.get(status, kind)


def reason(message: str) -> str:
    """What the model said, without the traceback that the toolkits put behind it."""
    try:
        value = json.loads(message)
        text = str(value.get("error", value)) if isinstance(value, dict) else str(value)
    except ValueError:
        text = message
    return " ".join(_TRACEBACK.split(text)[0].split())[:500]
