"""What BigQuery answers in the place of a result: https://cloud.google.com/bigquery/docs/error-messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudops.offline.faults import FaultKind

from .faults import fault as general

#: Reasons to the HTTP status and the name of the code.
_REASONS: Mapping[str, tuple[int, str]] = {
    "invalid": (400, "INVALID_ARGUMENT"),
    "required": (400, "INVALID_ARGUMENT"),
    "resourceInUse": (400, "FAILED_PRECONDITION"),
    "authError": (401, "UNAUTHENTICATED"),
    "accessDenied": (403, "PERMISSION_DENIED"),
    "rateLimitExceeded": (403, "PERMISSION_DENIED"),
    "quotaExceeded": (403, "PERMISSION_DENIED"),
    "notFound": (404, "NOT_FOUND"),
    "duplicate": (409, "ALREADY_EXISTS"),
    "notImplemented": (501, "UNIMPLEMENTED"),
    "backendError": (503, "UNAVAILABLE"),
}
_FAULTS = {
    FaultKind.THROTTLING: ("rateLimitExceeded", "Exceeded rate limits: too many api requests per user per method."),
    FaultKind.SERVER_ERROR: ("backendError", "Error encountered during execution. Retrying may solve the problem."),
    FaultKind.QUOTA: ("quotaExceeded", "Quota exceeded: Your project exceeded a quota of BigQuery."),
}


class BigQueryError(Exception):
    """A refusal.

    Args:
        reason: a name of the table above.
        message: for a person.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message

    @property
    def status(self) -> int:
        """Of HTTP."""
        return _REASONS[self.reason][0]

    def body(self) -> dict[str, Any]:
        """The body of the answer."""
        status, code = _REASONS[self.reason]
        errors = [{"message": self.message, "domain": "global", "reason": self.reason}]
        return {"error": {"code": status, "message": self.message, "errors": errors, "status": code}}


def missing(what: str, name: str) -> BigQueryError:
    """The error for a ``Dataset`` or a ``Table`` that there is not."""
    return BigQueryError("notFound", f"Not found: {what} {name}")


def denied(permission: str, what: str) -> BigQueryError:
    """The error for somebody who may not do this."""
    text = (
        f"Access Denied: {what}: Permission {permission} denied on {what[:1].lower()}{what[1:]} (or it may not exist)."
    )
    return BigQueryError("accessDenied", text)


def fault(kind: FaultKind, operation: str, what: str) -> BigQueryError:
    """The error for a fault of a call of ``bigquery:Operation`` about something.

    Raises:
        ValueError: it is none that a service answers.
    """
    if kind in _FAULTS:
        return BigQueryError(*_FAULTS[kind])
    if kind is FaultKind.ACCESS_DENIED:
        return denied(operation.replace(":", "."), what)
    return BigQueryError("authError", general(kind, operation).message)
