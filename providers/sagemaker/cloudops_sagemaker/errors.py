"""What AWS answers, as the errors of cloudops: one table on code and message."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
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

_CREDENTIALS = "sign in again, or set AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_EXPIRED = "the credentials are no longer valid: sign in again"
_QUOTA = "ask for more in the Service Quotas console, delete what is not used, or choose another instance type"
BUCKET = "the bucket is in another region: choose one in the region of the target"
_CAPACITY = "try again later, or choose another instance type or region"
_SIZE = "send fewer rows at a time, or deploy the endpoint with overrides.sagemaker.deploy.asynchronous"
_POLICY = "docs/sagemaker.md has the policy that cloudops needs"

#: Code (a regular expression over all of it), beginning of the message (another one), class, hint. The first counts.
TABLE: tuple[tuple[str, str, type[ProviderError], str | None], ...] = (
    # One code, several meanings
    ("ValidationException", r"Requested resource not found", NotFound, None),
    ("ValidationException", r"Could not find (?!model data)", NotFound, None),
    ("ValidationException", r"No scalable target|The specified .* does not exist", NotFound, None),
    ("ValidationException", r"Cannot create already existing", Conflict, None),
    ("ValidationException", r"Cannot (update|delete)|.*in-progress|The request was rejected because", Conflict, None),
    ("ValidationException", r"Could not assume role", AuthError, "the role must trust sagemaker.amazonaws.com"),
    ("ValidationError", r"(Endpoint|Variant) .* not found|Could not find", NotFound, None),
    ("ValidationException|ValidationError", r".*(expired|security token)", AuthError, _EXPIRED),
    ("ModelError", r"", ProviderError, None),
    ("413", r"HTTP content length exceeded", InvalidRequest, _SIZE),
    ("InvalidRequestException", r".*scheduled for deletion", Unavailable, "the secret before is just being deleted"),
    # Who calls
    ("ExpiredToken(Exception)?|RequestExpired|TokenRefreshRequired", r"", AuthError, _EXPIRED),
    (
        "InvalidClientTokenId|UnrecognizedClient(Exception)?|InvalidAccessKeyId|SignatureDoesNotMatch"
        "|InvalidSignatureException|AuthFailure|InvalidToken|IncompleteSignature"
        "|MissingAuthenticationToken(Exception)?|NotAuthorized|InvalidIdentityToken",
        r"",
        AuthError,
        _CREDENTIALS,
    ),
    ("RequestTimeTooSkewed", r"", AuthError, "set this machine's clock"),
    (
        "AccessDenied(Exception)?|403|Forbidden|UnauthorizedOperation|AccountProblem|OptInRequired",
        r"",
        AuthError,
        _POLICY,
    ),
    (
        "FailedResourceAccessException|DecryptionFailure|EncryptionFailure|KMS.*"
        "|MalformedPolicyDocument.*",
        r"",
        AuthError,
        _POLICY,
    ),
    # Too much, too fast, too early
    (
        "Throttl(ing|ed)(Exception)?|ThrottledException|RequestThrottled(Exception)?|RequestLimitExceeded|SlowDown"
        "|TooManyRequests(Exception)?|BandwidthLimitExceeded|PriorRequestNotComplete|LimitExceededFault"
        "|ConcurrentUpdateException|OperationAborted(Exception)?",
        r"",
        Throttled,
        "try again in a moment",
    ),
    (
        "ResourceLimitExceeded|LimitExceeded(Exception|Fault)?|ServiceQuotaExceededException"
        "|TooManyBuckets",
        r"",
        QuotaExceeded,
        _QUOTA,
    ),
    ("InsufficientInstanceCapacity|InsufficientCapacity(Exception|Error)?|CapacityError", r"", NoCapacity, _CAPACITY),
    # The service's side
    (
        "InternalFailure|InternalServer(Error|Exception)|InternalService(Error|Fault|Exception)|InternalError"
        "|InternalDependencyException|InternalStreamFailure|ServiceUnavailable(Exception)?|Service(Failure|FailureException|Exception)"
        "|ModelNotReadyException|ModelStreamError|RequestTimeout(Exception)?|5[0-9][0-9]|IDPCommunicationError",
        r"",
        Unavailable,
        None,
    ),
    # What there is
    (
        "ResourceNotFound(Exception|Fault)?|NoSuch(Bucket|Key|Entity|Upload|EntityException|ResourceException)|NotFound|404"
        "|ObjectNotFoundException|ResourceNotFound",
        r"",
        NotFound,
        None,
    ),
    (
        "ResourceInUse(Exception)?|ResourceConflict(Exception)?|ConflictException|ResourceExistsException"
        "|ResourceAlreadyExists(Exception)?|BucketAlready(Exists|OwnedByYou)"
        "|DataAlreadyAcceptedException|EntityAlreadyExists(Exception)?|DashboardNotFoundError|BucketNotEmpty"
        "|409|ConflictError"
        "|PreconditionFailed|PreconditionNotMetException|412",
        r"",
        Conflict,
        None,
    ),
    (
        "PermanentRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraintException|301",
        r"",
        InvalidRequest,
        BUCKET,
    ),
    (
        "Validation(Exception|Error)|Invalid.*|Missing.*|Malformed.*|EntityTooLarge|EntityTooSmall"
        "|BadRequest|400|405|MethodNotAllowed"
        "|UnknownOperationException|SerializationException|PublicPolicyException|UnmodifiableEntityException"
        "|InvalidNextToken|IllegalArgumentException"
        "|ObjectAlreadyInActiveTierError|ObjectNotInActiveTierError|EncryptionTypeMismatch|TooManyParts"
        "|KeyTooLongError|413|415|416",
        r"",
        InvalidRequest,
        None,
    ),
)  # fmt: skip

#: What botocore itself raises, by the name of the class or of one that it is derived from.
_LOCAL: dict[str, tuple[type[CloudopsError], str]] = {
    "NoCredentialsError": (AuthError, _CREDENTIALS),
    "PartialCredentialsError": (AuthError, _CREDENTIALS),
    "CredentialRetrievalError": (AuthError, _CREDENTIALS),
    "TokenRetrievalError": (AuthError, "sign in again with `aws sso login`"),
    "SSOError": (AuthError, "sign in again with `aws sso login`"),
    "RefreshWithMFAUnsupportedError": (AuthError, _CREDENTIALS),
    "ProfileNotFound": (ConfigError, "`aws configure list-profiles` lists those that there are"),
    "NoRegionError": (ConfigError, "set region in the target, or AWS_DEFAULT_REGION"),
    "InvalidRegionError": (ConfigError, "a region is such as eu-west-1"),
    "ConfigParseError": (ConfigError, "correct the AWS configuration file"),
    "ConfigNotFound": (ConfigError, "AWS_CONFIG_FILE names a file that is not there"),
    "ParamValidationError": (InvalidRequest, "a value has a form that the service does not take"),
    "ConnectTimeoutError": (Unavailable, "check the network and the proxy"),
    "ReadTimeoutError": (Unavailable, "check the network and the proxy"),
    "EndpointConnectionError": (Unavailable, "check the network, the proxy and the region"),
    "ProxyConnectionError": (Unavailable, "check HTTPS_PROXY"),
    "SSLError": (Unavailable, "check AWS_CA_BUNDLE and the proxy"),
    "ConnectionClosedError": (Unavailable, "the connection ended before the answer"),
    "ConnectionError": (Unavailable, "check the network and the proxy"),
    "HTTPClientError": (Unavailable, "check the network and the proxy"),
    "ResponseStreamingError": (Unavailable, "the connection ended within the answer"),
    "IncompleteReadError": (Unavailable, "the connection ended within the answer"),
}

#: A list of everything that would have been right, such as that of all instance types: thousands of characters.
_LIST = re.compile(r"\[[^\[\]]{120,}\]")
#: How much of such a list, and of a refused request's whole text, is shown.
_SOME, _MOST = 80, 600
_ACTION = re.compile(r"not authorized to perform: ([A-Za-z0-9-]+:[A-Za-z0-9*]+)(?: on resource: (\S+))?")


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
        error.provider = error.provider or "sagemaker"
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
    response = getattr(error, "response", None)
    if isinstance(response, dict) and "Error" in response:
        return _answered(error, response, operation, ref)
    for base in type(error).__mro__:
        if base.__module__.startswith(("botocore", "boto3", "s3transfer")) and base.__name__ in _LOCAL:
            kind, hint = _LOCAL[base.__name__]
            text = _line(str(error))
            if base.__name__ == "ProxyConnectionError":
                text, hint = _of_proxy(error, text, hint)
            return _made(kind, f"{_about(operation, ref)}: {text}", operation, ref, hint, base.__name__)
    if type(error).__module__.startswith(("botocore", "boto3", "s3transfer")):
        text = f"{_about(operation, ref)}: {type(error).__name__}: {_line(str(error))}"
        return _made(UnknownProviderError, text, operation, ref, None, type(error).__name__)
    return None


def classified(code: str, message: str) -> tuple[type[ProviderError], str | None]:
    """The class of an answer and what to do about it."""
    for codes, beginning, kind, hint in TABLE:
        if re.fullmatch(codes, code) and re.match(beginning, message, re.IGNORECASE | re.DOTALL):
            return kind, hint
    return UnknownProviderError, None


def code_of(error: BaseException) -> str:
    """The service's code of an exception of the SDK; empty for any other."""
    response = getattr(error, "response", None)
    return str(response.get("Error", {}).get("Code", "")) if isinstance(response, dict) else ""


def is_kind(error: Exception, *kinds: type[ProviderError]) -> bool:
    """Whether an exception of the SDK is one of ``kinds`` by the table."""
    response = getattr(error, "response", None)
    if not isinstance(response, dict) or "Error" not in response:
        return False
    answer = response["Error"]
    return issubclass(classified(str(answer.get("Code", "")), str(answer.get("Message", "")))[0], kinds)


def _answered(error: Exception, response: dict[str, Any], operation: str, ref: Ref | str | None) -> ProviderError:
    code, message = str(response["Error"].get("Code", "")), _line(str(response["Error"].get("Message", "")))
    kind, hint = classified(code, message)
    call = str(getattr(error, "operation_name", ""))
    text = f"{_about(operation, ref)}: {_readable(message, kind) or code}"
    if kind is AuthError and hint is _POLICY:
        needed, hint = _permission(message, call)
        if needed and needed not in text:
            text = f"{text} ({needed} is not allowed)"
    request = response.get("ResponseMetadata", {}).get("RequestId")
    return kind(text, code=code, request_id=request, provider="sagemaker", operation=operation, ref=ref, hint=hint)


def _permission(message: str, call: str) -> tuple[str, str]:
    """The permission that is missing, and a hint that names it."""
    from .policy import action

    found = _ACTION.search(message)
    needed, resource = (found[1], found[2] or "") if found else (action(call), "")
    if not needed:
        return "", _POLICY
    return needed, f"have {needed} allowed{f' on {resource}' if resource else ''}; {_POLICY}"


def _made(
    kind: type[CloudopsError], text: str, operation: str, ref: Ref | str | None, hint: str | None, code: str
) -> CloudopsError:
    common: dict[str, Any] = {"provider": "sagemaker", "operation": operation, "ref": ref, "hint": hint}
    return kind(text, **common, **({"code": code} if issubclass(kind, ProviderError) else {}))


def _about(operation: str, ref: Ref | str | None) -> str:
    name = getattr(ref, "id", ref)
    return f"{operation} {name}" if name else operation


def _of_proxy(error: Exception, text: str, hint: str) -> tuple[str, str]:
    """What went wrong at the proxy, or behind it.

    urllib3 forgets that it had reached the proxy once a connection has ended, and calls that an error of the proxy.
    """
    reason = getattr(getattr(error, "kwargs", {}).get("error"), "original_error", None)
    if isinstance(reason, ConnectionError) and not isinstance(reason, ConnectionRefusedError):
        return f"the connection ended before the answer: {_line(str(reason))}", "try again in a moment"
    return (text, hint) if reason is None else (f"{text}: {_line(str(reason))}", hint)


def _readable(message: str, kind: type[ProviderError]) -> str:
    """What the service says, without the rest of its long lists."""
    text = _LIST.sub(lambda found: shortened(found[0], _SOME).rstrip(", ") + "]", message)
    return shortened(text, _MOST) if kind is InvalidRequest else text


def shortened(text: str, length: int) -> str:
    """``text``, cut to ``length`` characters with ``...`` for what is missing."""
    return text if len(text) <= length else f"{text[: length - 3]}..."


def _line(text: str) -> str:
    return " ".join(text.split())
