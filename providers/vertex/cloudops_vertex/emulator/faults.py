"""The errors that faults call for, as Google's services answer them."""

from __future__ import annotations

from cloudops.offline.faults import FaultKind

from .machine_types import over_quota
from .protocol.errors import ServiceError

NO_TOKEN = (
    "Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
_BAD_TOKEN = (
    "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
    "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."
)
_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


def fault(kind: FaultKind, operation: str) -> ServiceError:
    """The service's own error for a fault of a call of ``operation``, ``service:Method``.

    Raises:
        ValueError: it is none that a service answers.
    """
    service, _, method = operation.partition(":")
    host = f"{service}.googleapis.com"
    if kind is FaultKind.THROTTLING:
        text = f"Quota exceeded for quota metric 'Requests' and limit 'Requests per minute' of service '{host}'."
        return ServiceError("RESOURCE_EXHAUSTED", text, [_info("RATE_LIMIT_EXCEEDED", host)])
    if kind is FaultKind.SERVER_ERROR:
        return ServiceError("UNAVAILABLE", "The service is currently unavailable.")
    if kind is FaultKind.ACCESS_DENIED:
        permission = f"{service}.{method[:1].lower()}{method[1:]}"
        text = f"Permission '{permission}' denied on resource (or it may not exist)."
        return ServiceError("PERMISSION_DENIED", text, [_info("IAM_PERMISSION_DENIED", host)])
    if kind is FaultKind.EXPIRED_CREDENTIALS:
        return ServiceError("UNAUTHENTICATED", _BAD_TOKEN, [_info("ACCESS_TOKEN_EXPIRED", host)])
    if kind is FaultKind.MISSING_CREDENTIALS:
        return ServiceError("UNAUTHENTICATED", NO_TOKEN, [_info("CREDENTIALS_MISSING", host)])
    if kind is FaultKind.QUOTA:
        return over_quota("custom_model_training_cpus")
    raise ValueError(f"fault {kind} is none that a service answers")


def _info(reason: str, host: str) -> dict[str, object]:
    return {"@type": _INFO, "reason": reason, "domain": "googleapis.com", "metadata": {"service": host}}
