"""Who implements which method: one function for REST and gRPC, and for v1 and v1beta1.

A function takes the call and the request's message, which is complete and of the right types, and returns the answer's
message, or an iterator of messages where the method streams them. It raises :class:`.protocol.errors.ServiceError`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .protocol.pool import class_of

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor

    from .site import Site

#: Messages are made from descriptors when the program runs: nothing can be said of their types before.
Handler = Callable[["Call", Any], Any]

_HANDLERS: dict[str, Handler] = {}


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a method.

    Args:
        site: the emulated cloud.
        method: what is called.
        principal: who calls, such as an email address of a service account.
        host: that was asked.
        headers: of the answer over REST, beside those of its form.
    """

    site: Site
    method: MethodDescriptor
    principal: str
    host: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Of the API, such as ``v1beta1``."""
        return str(self.method.containing_service.full_name.split(".")[-2])

    def answer(self, **fields: Any) -> Any:
        """A message of the method's answer."""
        return class_of(self.method.output_type)(**fields)


def implements(*names: str) -> Callable[[Handler], Handler]:
    """Have a function implement methods, by the names of service and method: ``JobService.CreateCustomJob``."""

    def register(function: Handler) -> Handler:
        for name in names:
            assert name not in _HANDLERS, f"{name} is implemented twice"
            _HANDLERS[name] = function
        return function

    return register


def handler(method: MethodDescriptor) -> Handler | None:
    """The function that implements a method, None where there is none."""
    return _HANDLERS.get(f"{method.containing_service.name}.{method.name}")


def implemented() -> Iterator[str]:
    """The names of the methods that are implemented."""
    yield from _HANDLERS
