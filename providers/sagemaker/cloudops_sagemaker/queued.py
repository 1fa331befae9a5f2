"""One request to an asynchronous endpoint: through S3, waited for."""

from __future__ import annotations

import re
import time
import uuid
from typing import TYPE_CHECKING, Any

from cloudops.errors import InvalidRequest, Unavailable
from cloudops.provider import Answer
from cloudops.refs import Ref

from .names import Place
from .predicting import LARGEST, kind_of, reason
from .storage import Storage

if TYPE_CHECKING:
    from .client import Client

#: Seconds that one request may take in the model, and those that are waited for an answer, queue included.
_TIMEOUT, _PATIENCE = 3600, 4500.0
#: Seconds between looks, at first and at most.
_SOON, _LATER = 0.2, 5.0
_STATUS = re.compile(r"\((\d{3})\)")
_MESSAGE = re.compile(r'with message "(.*)"\. See', re.DOTALL)


def send_queued(client: Client, ref: Ref, body: bytes, *, content_type: str) -> Answer:
    """Put a request where the endpoint's answers go, and wait for its own.

    Raises:
        InvalidRequest: the endpoint is no asynchronous one and the body too large, or the model refuses it.
        ProviderError: the model failed.
        Unavailable: no answer came.
    """
    described: dict[str, Any] = client.sagemaker.describe_endpoint(EndpointName=ref.id)
    config = described.get("AsyncInferenceConfig")
    if config is None:
        text = f"the endpoint {ref.id} takes {LARGEST} bytes at most, not {len(body)}"
        hint = "send fewer rows at a time, or deploy it with overrides.sagemaker.deploy.asynchronous"
        raise InvalidRequest(text, provider="sagemaker", operation="predict", ref=ref, hint=hint)
    storage = Storage(client)
    answers = Place.parse(config["OutputConfig"]["S3OutputPath"])
    request = Place(answers.bucket, f"{answers.key.rpartition('/')[0]}/requests/{uuid.uuid4().hex}")
    storage.put(request, body)
    queued = client.service("sagemaker-runtime").invoke_endpoint_async(
        EndpointName=ref.id,
        InputLocation=request.uri,
        ContentType=content_type,
        Accept="application/json",
        InvocationTimeoutSeconds=_TIMEOUT,
    )
    return _await(storage, ref, queued["OutputLocation"], queued.get("FailureLocation", ""))


def _await(storage: Storage, ref: Ref, answer: str, failure: str) -> Answer:
    deadline, wait = time.monotonic() + _PATIENCE, _SOON
    while time.monotonic() < deadline:
        body = storage.get(Place.parse(answer))
        if body is not None:
            return Answer(body, "application/json")
        said = storage.get(Place.parse(failure)) if failure else None
        if said is not None:
            raise _failed(ref, said.decode("utf-8", "replace"))
        time.sleep(wait)
        wait = min(_LATER, wait * 1.5)
    text = f"the endpoint {ref.id} gave no answer within {_PATIENCE:g} s"
    raise Unavailable(text, provider="sagemaker", operation="predict", ref=ref, hint=f"it may still come, to {answer}")


def _failed(ref: Ref, said: str) -> Exception:
    status, message = _STATUS.search(said), _MESSAGE.search(said)
    number = int(status[1]) if status else 500
    text = f"the endpoint {ref.id} answered {number}: {reason(message[1] if message else said)}"
    return kind_of(number)(text, code=f"ModelError {number}", provider="sagemaker", operation="predict", ref=ref)
