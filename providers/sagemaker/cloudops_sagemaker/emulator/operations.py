"""Which operations this emulator answers itself; all others are moto's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .region import Region

#: The parameters, checked against the service's model, to the answer's members; datetimes as epoch seconds.
Handler = Callable[["Region", dict[str, Any]], Mapping[str, Any]]

_HANDLERS: dict[str, Handler] = {}


class ServiceError(Exception):
    """An answer of the service that is an error.

    Args:
        code: such as ``ValidationException``.
        message: the service's own text.
        status: of HTTP.
        members: further members of the answer.
    """

    def __init__(self, code: str, message: str, status: int = 400, **members: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.members = members


class NotOurs(Exception):
    """What a request is about is none of ours: moto answers it."""


def invalid(message: str) -> ServiceError:
    """A ``ValidationException``."""
    return ServiceError("ValidationException", message)


def operation(name: str) -> Callable[[Handler], Handler]:
    """Register the function that answers the SageMaker operation ``name``."""

    def register(function: Handler) -> Handler:
        _HANDLERS[name] = function
        return function

    return register


def handler(name: str) -> Handler | None:
    """What answers ``name``, or None where moto does."""
    return _HANDLERS.get(name)
