"""What a request is about: the operation and the name of the resource, for faults and for the list of calls."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import grpc_wire, rest
from .protocol.errors import ServiceError
from .services import api

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

    from google.protobuf.descriptor import MethodDescriptor

_SERVICES = {"logging": "logging", "monitoring": "monitoring", "resourcemanager": "cloudresourcemanager"}
_TARGETS = ("name", "endpoint", "parent", "resource")


@dataclass(frozen=True, slots=True)
class Asked:
    """A call of a method of the descriptors.

    Args:
        method: what is called.
        request: its message; None where it cannot be read, and the service refuses it.
        error: why.
    """

    method: MethodDescriptor
    request: Any = None
    error: ServiceError | None = None

    @property
    def operation(self) -> str:
        """``service:Method``, the service as its host begins."""
        return operation_name(self.method)

    @property
    def resource(self) -> str:
        """The display name of what is created, or the id of what is named; empty where neither is known."""
        if self.request is None:
            return ""
        for field, value in self.request.ListFields():
            if field.message_type is not None and not field.is_repeated:
                shown = getattr(value, "display_name", "")
                if shown:
                    return str(shown)
        names = (getattr(self.request, name, "") for name in _TARGETS if name in self.request.DESCRIPTOR.fields_by_name)
        return next((str(name).rpartition("/")[2] for name in names if name), "")


def operation_name(method: MethodDescriptor) -> str:
    """``service:Method``, the service as its host begins."""
    package = str(method.containing_service.file.package)
    return f"{next((one for mark, one in _SERVICES.items() if mark in package), 'aiplatform')}:{method.name}"


def asked(environ: WSGIEnvironment) -> Asked:
    """What a request asks for; its body can be read again.

    Raises:
        ServiceError: NOT_FOUND, UNIMPLEMENTED: there is no such method, or no such API.
    """
    host = str(environ["HTTP_HOST"]).partition(":")[0]
    package = api(host)
    if package is None:
        raise ServiceError("UNIMPLEMENTED", f"{host} is not emulated by the offline cloud; only a live project has it")
    body_of(environ)
    found = None if grpc_wire.is_call(environ) else rest.matched(environ, package)
    method = grpc_wire.method(environ) if found is None else found.route.method
    try:
        return Asked(method, grpc_wire.read(environ, method) if found is None else rest.read(environ, found))
    except ServiceError as error:
        return Asked(method, None, error)
    finally:
        environ["wsgi.input"].seek(0)


def body_of(environ: WSGIEnvironment) -> bytes:
    """The request's body, which can be read again."""
    source = environ["wsgi.input"]
    if not isinstance(source, io.BytesIO):
        source = environ["wsgi.input"] = io.BytesIO(source.read())
    return source.getvalue()
