"""Errors as Google's services answer them: a code, a text, details."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: The names of codes to their HTTP status and number, as in google/rpc/code.proto.
CODES: Mapping[str, tuple[int, int]] = {
    "INVALID_ARGUMENT": (400, 3),
    "FAILED_PRECONDITION": (400, 9),
    "OUT_OF_RANGE": (400, 11),
    "UNAUTHENTICATED": (401, 16),
    "PERMISSION_DENIED": (403, 7),
    "NOT_FOUND": (404, 5),
    "ABORTED": (409, 10),
    "ALREADY_EXISTS": (409, 6),
    "RESOURCE_EXHAUSTED": (429, 8),
    "CANCELLED": (499, 1),
    "INTERNAL": (500, 13),
    "UNKNOWN": (500, 2),
    "UNIMPLEMENTED": (501, 12),
    "UNAVAILABLE": (503, 14),
    "DEADLINE_EXCEEDED": (504, 4),
}
_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"


class ServiceError(Exception):
    """What a service answers in the place of a result.

    Args:
        code: a name of :data:`CODES`.
        message: for a person.
        details: JSON values, each with its ``@type``.
    """

    def __init__(self, code: str, message: str, details: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(message)
        self.code, self.message, self.details = code, message, details

    @property
    def status(self) -> int:
        """The HTTP status."""
        return CODES[self.code][0]

    def body(self) -> dict[str, Any]:
        """The body of the answer over REST."""
        error: dict[str, Any] = {"code": self.status, "message": self.message, "status": self.code}
        if self.details:
            error["details"] = [dict(one) for one in self.details]
        return {"error": error}


def malformed(problems: Sequence[tuple[str, str]]) -> ServiceError:
    """The error of a body that is not what its message wants: place and text of each problem."""
    violations = [{"field": field, "description": text} if field else {"description": text} for field, text in problems]
    text = "\n".join(text for _, text in problems)
    return ServiceError("INVALID_ARGUMENT", text, [{"@type": _BAD_REQUEST, "fieldViolations": violations}])


def refused(problems: Sequence[tuple[str, str]]) -> ServiceError:
    """The error of a request whose values Vertex AI does not take: path and text of each problem."""
    found = "".join(f"{number}.Field: {path}; Message: {text}\t" for number, (path, text) in enumerate(problems, 1))
    return ServiceError("INVALID_ARGUMENT", f"List of found errors:\t{found}")
