"""Errors in the form in which each service of AWS answers them, and the ones that faults call for."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

from cloudops.offline.faults import FaultKind

from .identify import Call
from .region import ACCOUNT

if TYPE_CHECKING:
    from wsgiref.types import StartResponse

_REASONS = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 424: "Failed Dependency", 429: "Too Many Requests"}
_REASONS |= {500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable"}
_S3_ACTIONS = {
    "HeadObject": "GetObject",
    "HeadBucket": "ListBucket",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListBuckets": "ListAllMyBuckets",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "CopyObject": "PutObject",
    "DeleteObjects": "DeleteObject",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
}


@dataclass(frozen=True)
class Refusal:
    """An error of a service; ``members`` are further members of its answer."""

    code: str
    message: str
    status: int = 400
    members: Mapping[str, Any] | None = None


def action(call: Call) -> str:
    """The IAM action that a call needs, such as ``s3:ListBucket`` for ListObjectsV2."""
    if call.service == "s3":
        return f"s3:{_S3_ACTIONS.get(call.operation, call.operation)}"
    if call.operation == "InvokeEndpointWithBidirectionalStream":
        return "sagemaker:InvokeEndpointWithBidirectionalStream"
    named = {"sagemaker-runtime": "sagemaker", "sagemaker-metrics": "sagemaker", "service-quotas": "servicequotas"}
    prefix = named.get(call.service, call.service)
    return f"{prefix}:{call.operation}"


def fault(kind: FaultKind, call: Call) -> Refusal:
    """The service's own error for a fault.

    Raises:
        ValueError: it is none that a service answers.
    """
    makers = {
        FaultKind.THROTTLING: _throttled,
        FaultKind.SERVER_ERROR: _broken,
        FaultKind.ACCESS_DENIED: _denied,
        FaultKind.EXPIRED_CREDENTIALS: _expired,
        FaultKind.MISSING_CREDENTIALS: _missing,
        FaultKind.QUOTA: _over_quota,
    }
    if kind not in makers:
        raise ValueError(f"fault {kind} is none that a service answers")
    return makers[kind](call)


def answer(call: Call, refusal: Refusal, start_response: StartResponse) -> Iterable[bytes]:
    """Answer a call with an error, as its protocol has it."""
    request_id = str(uuid.uuid4())
    body, kind, extra = _FORMS[call.protocol](refusal, request_id)
    headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("x-amzn-RequestId", request_id), *extra]
    if call.service == "s3":
        headers.append(("x-amz-request-id", request_id))
    start_response(f"{refusal.status} {_REASONS.get(refusal.status, 'Error')}", headers)
    return [body]


def _throttled(call: Call) -> Refusal:
    if call.service == "s3":
        return Refusal("SlowDown", "Please reduce your request rate.", 503)
    return Refusal("Throttling" if call.protocol == "query" else "ThrottlingException", "Rate exceeded")


def _broken(call: Call) -> Refusal:
    if call.service == "s3":
        return Refusal("InternalError", "We encountered an internal error. Please try again.", 500)
    code = "ServiceFailure" if call.protocol == "query" else "InternalFailure"
    return Refusal(code, "The request processing has failed because of an unknown error, exception or failure.", 500)


def _denied(call: Call) -> Refusal:
    user, needed = f"arn:aws:sts::{ACCOUNT}:user/moto", action(call)
    text = f"User: {user} is not authorized to perform: {needed} on resource: {_arn(call)}"
    text += f" because no identity-based policy allows the {needed} action"
    if call.protocol in ("query", "rest-xml"):
        return Refusal("AccessDenied", text, 403)
    return Refusal("AccessDeniedException", text)


def _expired(call: Call) -> Refusal:
    if call.service == "s3":
        return Refusal("ExpiredToken", "The provided token has expired.")
    code = "ExpiredToken" if call.protocol == "query" else "ExpiredTokenException"
    return Refusal(code, "The security token included in the request is expired", 403)


def _missing(call: Call) -> Refusal:
    if call.service == "s3":
        return Refusal("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403)
    code = "InvalidClientTokenId" if call.protocol == "query" else "UnrecognizedClientException"
    return Refusal(code, "The security token included in the request is invalid.", 403)


def _over_quota(call: Call) -> Refusal:
    if call.service == "s3":
        return Refusal("TooManyBuckets", "You have attempted to create more buckets than allowed.")
    if call.prefix != "sagemaker":
        return Refusal("LimitExceededException", f"The account's limit for {call.operation} is exceeded.")
    what = "endpoint" if "Endpoint" in call.operation else "transform job" if "Transform" in call.operation else ""
    return over_limit("ml.m5.xlarge", what or "training job", limit=0)


def over_limit(instance: str, what: str, *, limit: int, used: int = 0, wanted: int = 1, more: str = "") -> Refusal:
    """``ResourceLimitExceeded`` for instances of a type."""
    return Refusal(
        "ResourceLimitExceeded",
        f"The account-level service limit '{instance} for {what} usage' is {limit} Instances, with current utilization "
        f"of {used} Instances and a request delta of {wanted} Instances. Please contact AWS support to request an "
        f"increase for this limit.{more}",
    )


def _arn(call: Call) -> str:
    if call.service == "s3":
        return f"arn:aws:s3:::{call.resource}" if call.resource else "*"
    kind = "".join(f"-{c.lower()}" if c.isupper() else c for c in call.operation.lstrip("ACDILSU"))
    kind = kind.partition("-")[2].removesuffix("s")
    if call.prefix == "sagemaker" and call.resource and kind:
        return f"arn:aws:sagemaker:{call.region}:{ACCOUNT}:{kind}/{call.resource}"
    return "*"


_Form = tuple[bytes, str, list[tuple[str, str]]]


def _json_form(refusal: Refusal, request_id: str) -> _Form:
    body = {"__type": refusal.code, "message": refusal.message, "Message": refusal.message, **(refusal.members or {})}
    return json.dumps(body).encode(), "application/x-amz-json-1.1", []


def _rest_json_form(refusal: Refusal, request_id: str) -> _Form:
    body = {"Message": refusal.message, "message": refusal.message, **(refusal.members or {})}
    return json.dumps(body).encode(), "application/json", [("x-amzn-ErrorType", refusal.code)]


def _query_form(refusal: Refusal, request_id: str) -> _Form:
    kind = "Sender" if refusal.status < 500 else "Receiver"
    text = (
        f"<ErrorResponse><Error><Type>{kind}</Type><Code>{escape(refusal.code)}</Code>"
        f"<Message>{escape(refusal.message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return text.encode(), "text/xml", []


def _s3_form(refusal: Refusal, request_id: str) -> _Form:
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{escape(refusal.code)}</Code>'
        f"<Message>{escape(refusal.message)}</Message><RequestId>{request_id}</RequestId></Error>"
    )
    return text.encode(), "application/xml", []


def _cbor_form(refusal: Refusal, request_id: str) -> _Form:
    pairs = {"__type": refusal.code, "message": refusal.message}
    body = bytes([0xA0 + len(pairs)]) + b"".join(_cbor(key) + _cbor(value) for key, value in pairs.items())
    return body, "application/cbor", [("smithy-protocol", "rpc-v2-cbor")]


def _cbor(text: str) -> bytes:
    data = text.encode()
    return bytes([0x79, *divmod(len(data), 256)]) + data


_FORMS = {
    "json": _json_form,
    "rest-json": _rest_json_form,
    "query": _query_form,
    "rest-xml": _s3_form,
    "cbor": _cbor_form,
}
