"""What Google answers, as the errors of cloudops: one table on code and message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudops.errors import (
    AuthError,
    CloudopsError,
    ConfigError,
    Conflict,
    InvalidRequest,
    NoCapacity,
    NotFound,
    ProviderError,
    QuotaExceeded,
    Throttled,
    Unavailable,
    UnknownProviderError,
)

if TYPE_CHECKING:
    from cloudops.refs import Ref

_CREDENTIALS = "run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS"
_POLICY = "docs/vertex.md has the roles that cloudops needs"
_QUOTA = "ask for more on the console's page Quotas & System Limits, or choose another machine type or location"
_CAPACITY = "try again later, choose another machine type or location, or set strategy: flex-start, which waits"
_NETWORK = "check the network and the proxy"

#: Code (a regular expression over all of it), part of the message (another one), class, hint. The first counts.
#: The codes are those of google.rpc.Code; https://cloud.google.com/apis/design/errors#handling_errors
TABLE: tuple[tuple[str, str, type[ProviderError], str | None], ...] = (
    # One code, several meanings
    ("PERMISSION_DENIED", r"has not been used in project|it is disabled", AuthError,
     "enable the service: {activation}"),
    ("PERMISSION_DENIED|FAILED_PRECONDITION", r"billing", AuthError, "enable billing for the project"),
    ("RESOURCE_EXHAUSTED|UNAVAILABLE|FAILED_PRECONDITION", r"insufficient|stockout|not enough (resources|capacity)",
     NoCapacity, _CAPACITY),
    ("RESOURCE_EXHAUSTED", r"per minute|rate.?limit|too many requests", Throttled, "try again in a moment"),
    ("RESOURCE_EXHAUSTED|FAILED_PRECONDITION", r"quota|limit", QuotaExceeded, _QUOTA),
    ("INVALID_ARGUMENT", r"service account .*(does not exist|not found)|iam\.serviceAccounts", AuthError,
     "name a service account that exists, and that the caller may use (iam.serviceAccounts.actAs)"),
    ("INVALID_ARGUMENT", r"resource name|already exists", InvalidRequest, None),
    # Each of the others
    ("UNAUTHENTICATED", r"", AuthError, _CREDENTIALS),
    ("PERMISSION_DENIED", r"", AuthError, _POLICY),
    ("RESOURCE_EXHAUSTED", r"", Throttled, "try again in a moment"),
    ("NOT_FOUND", r"", NotFound, None),
    ("ALREADY_EXISTS|ABORTED|FAILED_PRECONDITION", r"", Conflict, None),
    ("INVALID_ARGUMENT|OUT_OF_RANGE|UNIMPLEMENTED", r"", InvalidRequest, None),
    ("INTERNAL|UNAVAILABLE|DEADLINE_EXCEEDED|DATA_LOSS|CANCELLED", r"", Unavailable, None),
)  # fmt: skip

#: HTTP status to code, where an answer (as those of Cloud Storage) has none.
_HTTP = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ALREADY_EXISTS",
    410: "NOT_FOUND",
    412: "FAILED_PRECONDITION",
    413: "INVALID_ARGUMENT",
    416: "OUT_OF_RANGE",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

#: What Google's packages and requests raise themselves, by the name of the class or of one that it is derived from.
_LOCAL: dict[str, tuple[type[CloudopsError], str]] = {
    "DefaultCredentialsError": (AuthError, _CREDENTIALS),
    "RefreshError": (AuthError, "the credentials are no longer valid: run `gcloud auth application-default login`"),
    "ReauthFailError": (AuthError, _CREDENTIALS),
    "TransportError": (Unavailable, _NETWORK),
    "GoogleAuthError": (AuthError, _CREDENTIALS),
    "RetryError": (Unavailable, _NETWORK),
    "ProxyError": (Unavailable, "check HTTPS_PROXY"),
    "SSLError": (Unavailable, "check REQUESTS_CA_BUNDLE and the proxy"),
    "ConnectTimeout": (Unavailable, _NETWORK),
    "ReadTimeout": (Unavailable, _NETWORK),
    "ChunkedEncodingError": (Unavailable, "the connection ended within the answer"),
    "InvalidURL": (ConfigError, "correct the target"),
    "ConnectionError": (Unavailable, _NETWORK),
    "RequestException": (Unavailable, _NETWORK),
}
_PACKAGES = ("google.", "requests.", "urllib3.")
_PERMISSION = re.compile(r"[Pp]ermission '?([a-z]+\.[A-Za-z]+\.[A-Za-z]+)'?|have ([a-z]+\.[A-Za-z]+\.[A-Za-z]+) access")
_MOST = 600


class Refused(Exception):
    """An answer of one of Google's JSON APIs that is no success.

    Args:
        answer: what it says.
    """

    def __init__(self, answer: Answered) -> None:
        super().__init__(answer.message)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Answered:
    """What an error of Google's says.

    Args:
        code: of google.rpc, such as ``NOT_FOUND``.
        message: for people.
        http: the status.
        activation: where a service that is disabled is enabled; empty otherwise.
        call: the permission-like name of what was called, such as ``storage.objects.get``; empty where not known.
    """

    code: str
    message: str
    http: int = 0
    activation: str = ""
    call: str = ""

    @classmethod
    def parse(cls, http: int, body: Any, call: str = "") -> Answered:
        """That of the JSON body (or whatever came instead) of an answer."""
        error = body.get("error") if isinstance(body, dict) else None
        if not isinstance(error, dict):
            text = error if isinstance(error, str) else str(body or "")
            return cls(_HTTP.get(http, f"HTTP_{http}"), _line(text)[:_MOST] or f"HTTP {http}", http, call=call)
        code = str(error.get("status") or _HTTP.get(http, f"HTTP_{http}"))
        details = [each for each in error.get("details", ()) if isinstance(each, dict)]
        links = [str(each.get("metadata", {}).get("activationUrl", "")) for each in details]
        return cls(code, _line(str(error.get("message", ""))), http, next(filter(None, links), ""), call)


@contextmanager
def translated(operation: str, ref: Ref | str | None = None) -> Iterator[None]:
    """Turn what the SDK raises into the errors of cloudops; the cause is kept.

    Args:
        operation: what is being done, such as ``submit``.
        ref: to what.
    """
    try:
        yield
    except CloudopsError as error:
        error.provider = error.provider or "vertex"
        error.operation = error.operation or operation
        error.ref = error.ref or (None if ref is None else str(ref))
        raise
    except Exception as error:
        found = explained(error, operation, ref)
        if found is None:
            raise
        raise found from error


def explained(error: Exception, operation: str, ref: Ref | str | None = None) -> CloudopsError | None:
    """What an exception of the SDK means; None for one that is not the SDK's."""
    answer = answered(error)
    if answer is not None:
        return _meant(answer, operation, ref)
    for base in type(error).__mro__:
        if base.__module__.startswith(_PACKAGES) and base.__name__ in _LOCAL:
            kind, hint = _LOCAL[base.__name__]
            return _made(kind, f"{_about(operation, ref)}: {_line(str(error))}", operation, ref, hint, base.__name__)
    if type(error).__module__.startswith(_PACKAGES):
        text = f"{_about(operation, ref)}: {type(error).__name__}: {_line(str(error))}"
        return _made(UnknownProviderError, text, operation, ref, None, type(error).__name__)
    return None


def answered(error: BaseException) -> Answered | None:
    """What the service said with an exception; None where it said nothing."""
    if isinstance(error, Refused):
        return error.answer
    if not any(base.__name__ == "GoogleAPICallError" for base in type(error).__mro__):
        return None
    response: Any = getattr(error, "response", None)
    http = int(getattr(error, "code", None) or 0)
    if response is not None and hasattr(response, "json"):
        try:
            return Answered.parse(http, response.json())
        except ValueError:
            pass
    code = getattr(getattr(error, "grpc_status_code", None), "name", "") or _HTTP.get(http, f"HTTP_{http}")
    return Answered(code, _line(str(getattr(error, "message", error))), http)


def classified(code: str, message: str) -> tuple[type[ProviderError], str | None]:
    """The class of an answer and what to do about it."""
    for codes, part, kind, hint in TABLE:
        if re.fullmatch(codes, code) and re.search(part, message, re.IGNORECASE):
            return kind, hint
    return UnknownProviderError, None


def is_kind(error: BaseException, *kinds: type[ProviderError]) -> bool:
    """Whether an exception of the SDK is one of ``kinds`` by the tables."""
    if isinstance(error, ProviderError):
        return isinstance(error, kinds)
    answer = answered(error)
    if answer is not None:
        return issubclass(classified(answer.code, answer.message)[0], kinds)
    found = explained(error, "") if isinstance(error, Exception) else None
    return isinstance(found, kinds)


def was_refused(error: BaseException) -> bool:
    """Whether the service has certainly not done what it was asked to do."""
    answer = answered(error)
    return answer is not None and not is_kind(error, Unavailable)


def _meant(answer: Answered, operation: str, ref: Ref | str | None) -> ProviderError:
    kind, hint = classified(answer.code, answer.message)
    text = f"{_about(operation, ref)}: {_shortened(answer.message) or answer.code}"
    if hint is _POLICY:
        text, hint = _permission(answer, text)
    if hint is not None and "{activation}" in hint:
        where = answer.activation or "`gcloud services enable aiplatform.googleapis.com storage.googleapis.com`"
        hint = hint.format(activation=where)
    return kind(text, code=answer.code, provider="vertex", operation=operation, ref=ref, hint=hint)


def _permission(answer: Answered, text: str) -> tuple[str, str]:
    """The text and a hint that name the permission which is missing."""
    from .policy import permission

    found = _PERMISSION.search(answer.message)
    needed = (found[1] or found[2]) if found else permission(answer.call)
    if not needed:
        return text, _POLICY
    return text if needed in text else f"{text} ({needed} is not granted)", f"have {needed} granted; {_POLICY}"


def _made(
    kind: type[CloudopsError], text: str, operation: str, ref: Ref | str | None, hint: str | None, code: str
) -> CloudopsError:
    common: dict[str, Any] = {"provider": "vertex", "operation": operation, "ref": ref, "hint": hint}
    return kind(text, **common, **({"code": code} if issubclass(kind, ProviderError) else {}))


def _about(operation: str, ref: Ref | str | None) -> str:
    name = getattr(ref, "id", ref)
    return f"{operation} {name}" if name else operation


def _shortened(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[: _MOST - 3]}..."


def _line(text: str) -> str:
    return " ".join(text.split())
