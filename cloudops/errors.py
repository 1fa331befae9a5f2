"""Every error that cloudops raises on purpose.

::

    CloudopsError                       message, provider, operation, ref, hint
    ├── ConfigError (ValueError)        the project file, a flag or an argument is wrong; nothing was created
    ├── Vetoed                          a plugin refused a lifecycle step
    ├── PluginError
    │   ├── ProviderNotFound            no installed distribution offers the provider
    │   ├── ProviderBroken              it is installed and its import fails
    │   └── MissingDependency (ImportError)
    ├── UnsupportedFeature (NotImplementedError)
    ├── ProviderError                   code, request_id, retryable
    │   ├── AuthError (PermissionError)
    │   ├── InvalidRequest (ValueError)
    │   ├── NotFound (LookupError)
    │   ├── Conflict
    │   ├── QuotaExceeded
    │   ├── NoCapacity
    │   ├── Throttled                   retryable
    │   ├── Unavailable                 retryable
    │   ├── DeploymentFailed            a version did not become ready, or was rolled back
    │   └── UnknownProviderError
    ├── JobFailed                       status, log_tail
    ├── GateFailed                      a metric of the evaluation misses its requirement
    └── WaitTimeout (TimeoutError)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from .refs import Status

__all__ = [
    "AuthError",
    "CloudopsError",
    "ConfigError",
    "Conflict",
    "DeploymentFailed",
    "GateFailed",
    "InvalidRequest",
    "JobFailed",
    "MissingDependency",
    "NoCapacity",
    "NotFound",
    "PluginError",
    "ProviderBroken",
    "ProviderError",
    "ProviderNotFound",
    "QuotaExceeded",
    "Throttled",
    "Unavailable",
    "UnknownProviderError",
    "UnsupportedFeature",
    "Vetoed",
    "WaitTimeout",
]


class CloudopsError(Exception):
    """The root of the hierarchy.

    Args:
        message: one line: what happened, and where.
        provider: the provider's name, where one was involved.
        operation: what was being done, such as ``"submit"``.
        ref: the URI of the thing it was done to.
        hint: what to do about it, one line.
    """

    #: The exit code of the command line for this error.
    exit_code: int = 1

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        operation: str | None = None,
        ref: object | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.provider = provider
        self.operation = operation
        self.ref = None if ref is None else str(ref)
        self.hint = hint
        #: The key of the project file that is at fault, such as ``("train", "framework")``; see :meth:`at`.
        self.place: tuple[str | int, ...] = ()

    def at(self, *place: str | int) -> Self:
        """Say which key of the project file is at fault: the message then begins with it."""
        self.place = place
        key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
        return self.led_by(key.removeprefix("."))

    def led_by(self, text: str) -> Self:
        """Put ``text`` (where the fault is: a key, or a file and a line) before the message."""
        self.message = f"{text}: {self.message}"
        self.args = (self.message,)
        return self

    def __str__(self) -> str:
        return self.message if self.hint is None else f"{self.message}; {self.hint}"


class ConfigError(CloudopsError, ValueError):
    """The project file, a flag or an argument is wrong. Nothing was created."""

    exit_code = 2


class Vetoed(CloudopsError):
    """A ``cloudops.plugins`` observer refused a step before it was taken."""


class PluginError(CloudopsError):
    """A provider or an observer cannot be used."""

    exit_code = 2


class ProviderNotFound(PluginError):
    """No installed distribution offers the provider that was asked for."""


class ProviderBroken(PluginError):
    """The provider is installed, and importing it fails; ``__cause__`` says why."""


class MissingDependency(PluginError, ImportError):
    """An optional dependency is not installed; the hint names the extra that brings it."""


class UnsupportedFeature(CloudopsError, NotImplementedError):
    """The provider declares that it lacks a capability which the call needs. Nothing was created."""

    exit_code = 2


class ProviderError(CloudopsError):
    """The provider refused or failed.

    Args:
        code: the provider's own error code.
        request_id: the provider's identifier of the failed call, for its support.
        retryable: whether the same call may succeed later.
    """

    exit_code = 3
    retryable_by_default: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        request_id: str | None = None,
        retryable: bool | None = None,
        provider: str | None = None,
        operation: str | None = None,
        ref: object | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, provider=provider, operation=operation, ref=ref, hint=hint)
        self.code = code
        self.request_id = request_id
        self.retryable = self.retryable_by_default if retryable is None else retryable


class AuthError(ProviderError, PermissionError):
    """Credentials are missing, expired or not allowed to do this."""


class InvalidRequest(ProviderError, ValueError):
    """The provider rejects what it was sent; sending it again will not help.

    One that names a key of the project file (:meth:`at`) was found before anything was sent, as a ConfigError is.
    """

    def at(self, *place: str | int) -> Self:
        """As :meth:`CloudopsError.at`; the exit code is that of a ConfigError, too."""
        self.exit_code = ConfigError.exit_code
        return super().at(*place)


class NotFound(ProviderError, LookupError):
    """What the call names does not exist."""


class Conflict(ProviderError):
    """What exists is in a state, or has a name, that rules the call out."""


class QuotaExceeded(ProviderError):
    """An account limit stands in the way."""


class NoCapacity(ProviderError):
    """The provider has none of the machines asked for at the moment."""


class Throttled(ProviderError):
    """Too many calls in too short a time."""

    retryable_by_default = True


class Unavailable(ProviderError):
    """The service does not answer or fails on its side."""

    retryable_by_default = True


class DeploymentFailed(ProviderError):
    """A version did not become ready or erred; where one was live before, that one goes on serving."""

    exit_code = 1


class UnknownProviderError(ProviderError):
    """The provider answered with an error that no table knows; ``code`` and the cause are kept."""


class JobFailed(CloudopsError):
    """A job ended without success.

    Args:
        message: one line with the job and the reason.
        status: the job's last status.
        log_tail: the last lines that the job printed.
    """

    def __init__(
        self,
        message: str,
        *,
        status: Status,
        log_tail: Sequence[str] = (),
        provider: str | None = None,
        operation: str | None = None,
        ref: object | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, provider=provider, operation=operation, ref=ref, hint=hint)
        self.status = status
        self.log_tail = tuple(log_tail)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickling calls an exception's class with its message only; this one needs its status too."""
        from functools import partial

        return partial(type(self), self.message, status=self.status), (), self.__dict__


class GateFailed(CloudopsError):
    """A metric of the evaluation misses its requirement, so nothing is deployed."""


class WaitTimeout(CloudopsError, TimeoutError):
    """The wait ended before the thing that was waited for; the thing itself goes on."""
