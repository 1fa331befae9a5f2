"""Errors that do not come of the state: who asks, and faults."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cloudops.offline.faults import FaultKind

from .answer import of_error
from .errors import StorageError, Where
from .request import Request
from .routes import Form, Route

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_HEADER = Where("header", "Authorization")
_VERBS = {"insert": "create", "patch": "update", "copy": "create", "rewrite": "create", "compose": "create"}


def refuse(kind: FaultKind, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer with the service's own error for a fault of :data:`cloudops.offline.faults.ANSWERS`.

    Raises:
        ValueError: it is none that a service answers.
    """
    request = Request(environ)
    try:
        route = request.route
    except StorageError:
        route = Route("", Form.JSON)
    return of_error(fault(kind, route), route.form).send(request.method, start_response)


def fault(kind: FaultKind, route: Route) -> StorageError:
    """The error for a fault. The codes are those of https://cloud.google.com/storage/docs/json_api/v1/status-codes.

    Raises:
        ValueError: it is none that a service answers.
    """
    makers = {
        FaultKind.THROTTLING: _throttled,
        FaultKind.SERVER_ERROR: _broken,
        FaultKind.ACCESS_DENIED: denied,
        FaultKind.EXPIRED_CREDENTIALS: _expired,
        FaultKind.MISSING_CREDENTIALS: anonymous,
        FaultKind.QUOTA: _over_quota,
    }
    if kind not in makers:
        raise ValueError(f"fault {kind} is none that a service answers")
    return makers[kind](route)


def unauthorized(route: Route, *, shown: bool) -> StorageError:
    """The error for somebody who is not known; ``shown`` is whether they have shown some credentials."""
    return _expired(route) if shown else anonymous(route)


def anonymous(route: Route) -> StorageError:
    """The error for somebody who shows no credentials."""
    text = f"Anonymous caller does not have {_lacking(route)}"
    return _unknown(text, "required")


def denied(route: Route, principal: str = "The caller") -> StorageError:
    """The error for somebody who may not do this."""
    return StorageError(
        f"{principal} does not have {_lacking(route)}", status=403, reason="forbidden", code="AccessDenied"
    )


def permission(route: Route) -> str:
    """The IAM permission that an operation needs, such as ``storage.objects.create``."""
    kind, _, verb = route.operation.rpartition(".")
    if verb == "insert" and kind == "buckets":
        return "storage.buckets.create"
    verb = _VERBS.get(verb, verb)
    if kind == "multipartUploads":
        kind, verb = ("objects", "create") if verb in ("create", "uploadPart", "complete") else (kind, verb)
    return f"storage.{kind or 'objects'}.{verb or 'get'}"


def _lacking(route: Route) -> str:
    needed = permission(route)
    what = "object" if route.name else "bucket" if route.bucket else "project"
    return (
        f"{needed} access to the Google Cloud {'Storage ' if what != 'project' else ''}{what}. "
        f"Permission '{needed}' denied on resource (or it may not exist)."
    )


def _expired(route: Route) -> StorageError:
    return _unknown("Invalid Credentials", "authError")


def _unknown(text: str, reason: str) -> StorageError:
    headers = {"WWW-Authenticate": 'Bearer realm="https://accounts.google.com/"'}
    code = "AuthenticationRequired"
    return StorageError(text, status=401, reason=reason, code=code, where=_HEADER, headers=headers)


def _throttled(route: Route) -> StorageError:
    what = f"The object {route.bucket}/{route.name}" if route.name else f"The bucket {route.bucket}"
    text = f"{what} exceeded the rate limit for object mutation operations (create, update, and delete). "
    text += "Please reduce your request rate. See https://cloud.google.com/storage/docs/gcs429."
    return _too_many(text)


def _over_quota(route: Route) -> StorageError:
    if route.operation.startswith("buckets."):
        return _too_many("The project exceeded the rate limit for creating and deleting buckets.")
    return _too_many("The project exceeded its quota for requests to Cloud Storage. Please reduce your request rate.")


def _too_many(text: str) -> StorageError:
    return StorageError(text, status=429, reason="rateLimitExceeded", code="SlowDown", domain="usageLimits")


def _broken(route: Route) -> StorageError:
    text = "We encountered an internal error. Please try again."
    return StorageError(text, status=503, reason="backendError", code="ServiceUnavailable")
