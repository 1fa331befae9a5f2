"""Where requests of the runtime API (InvokeEndpoint and its like) go: to the function that hosting registers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from .identify import Call

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from .region import Region

#: Answers a request of the runtime API as a WSGI application does; a ServiceError that it raises becomes an answer.
RuntimeHandler = Callable[["Region", Call, "WSGIEnvironment", "StartResponse"], Iterable[bytes]]

_HANDLERS: dict[str, RuntimeHandler] = {}


def runtime_operation(name: str) -> Callable[[RuntimeHandler], RuntimeHandler]:
    """Register the function that answers the operation ``name`` of the runtime API."""

    def register(function: RuntimeHandler) -> RuntimeHandler:
        _HANDLERS[name] = function
        return function

    return register


def runtime_handler(name: str) -> RuntimeHandler | None:
    """What answers ``name``, or None where nothing does."""
    return _HANDLERS.get(name)
