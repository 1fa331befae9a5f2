"""The WSGI application: each host's service, over REST and over gRPC; every request is noted."""

from __future__ import annotations

import fnmatch
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from . import grpc_wire, rest
from .faults import NO_TOKEN, fault
from .identify import Asked, asked
from .methods import Call, handler
from .protocol.behaviour import check_required
from .protocol.errors import ServiceError
from .services import Service, unnamed

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from cloudops.offline.faults import FaultKind

    from .site import Site

#: So many requests are remembered.
_REMEMBERED = 100_000


class Application:
    """Answers for all hosts of Google's cloud that are emulated.

    Args:
        site: the emulated cloud.
        principal: who sends a request; None: nobody who is known.
        services: what the descriptors do not describe, by patterns of host and path.
    """

    def __init__(
        self,
        site: Site,
        principal: Callable[[WSGIEnvironment], str | None],
        services: Mapping[str, Service] | None = None,
    ) -> None:
        from . import load_operations

        load_operations()
        self._site, self._principal, self._services = site, principal, dict(services or {})
        self._lock = threading.Lock()
        self._calls: list[dict[str, Any]] = []

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        start = self._noting(environ, start_response)
        service = self._service(environ)
        if service is not None:
            return service.application(environ, start)
        try:
            called = asked(environ)
            return self._write(environ, self._answer(called, environ), start)
        except ServiceError as error:
            return self.refuse(error, environ, start)
        except Exception as error:
            return self.refuse(_bug(error), environ, start)

    def operation(self, environ: WSGIEnvironment) -> tuple[str, str]:
        """``service:Operation`` and the name of the resource that a request is about."""
        service = self._service(environ)
        if service is not None:
            return service.identify(environ)
        try:
            found = asked(environ)
        except ServiceError:
            return unnamed(environ)
        return found.operation, found.resource

    def refuse(self, error: ServiceError, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer with an error, in the form that the request has."""
        if grpc_wire.is_call(environ):
            return grpc_wire.refuse(environ, error, start_response)
        return rest.refuse(error, start_response)

    def fault(self, kind: FaultKind, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer with the service's own error for a fault; noted as every answer is."""
        start = self._noting(environ, start_response)
        service = self._service(environ)
        if service is not None:
            return service.refuse(kind, environ, start)
        return self.refuse(fault(kind, self.operation(environ)[0]), environ, start)

    def calls(self) -> list[Mapping[str, Any]]:
        """The requests so far."""
        with self._lock:
            return [dict(one) for one in self._calls]

    def reset(self) -> None:
        """Forget the requests so far."""
        with self._lock:
            self._calls.clear()

    def _service(self, environ: WSGIEnvironment) -> Service | None:
        asked_for = str(environ["HTTP_HOST"]).partition(":")[0] + str(environ["PATH_INFO"])
        return next((one for pattern, one in self._services.items() if fnmatch.fnmatchcase(asked_for, pattern)), None)

    def _answer(self, called: Asked, environ: WSGIEnvironment) -> Any:
        principal = self._principal(environ)
        if principal is None:
            raise ServiceError("UNAUTHENTICATED", NO_TOKEN)
        if called.error is not None:
            raise called.error
        function = handler(called.method)
        if function is None:
            name = f"{called.method.containing_service.name}.{called.method.name}"
            text = f"{name} is not emulated by the offline cloud; only a live project can answer it"
            raise ServiceError("UNIMPLEMENTED", text)
        check_required(called.request)
        host = str(environ["HTTP_HOST"]).partition(":")[0]
        headers: dict[str, str] = environ.setdefault(rest.HEADERS, {})
        return function(Call(self._site, called.method, principal, host, headers), called.request)

    def _write(self, environ: WSGIEnvironment, answer: Any, start: StartResponse) -> Iterable[bytes]:
        if grpc_wire.is_call(environ):
            return grpc_wire.write(environ, answer, start)
        return rest.write(environ, answer, start)

    def _noting(self, environ: WSGIEnvironment, start_response: StartResponse) -> StartResponse:
        """``start_response``, with the call noted once its status is known."""
        operation, resource = self.operation(environ)
        noted = {
            "operation": operation,
            "resource": resource,
            "principal": self._principal(environ) or "",
            "time": time.time(),
            "status": 0,
        }

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None, /) -> Any:
            first = not noted["status"]
            noted["status"] = int(status.split()[0])
            if first:
                with self._lock:
                    self._calls.append(noted)
                    del self._calls[:-_REMEMBERED]
            return start_response(status, headers, exc_info) if exc_info else start_response(status, headers)

        return start


def _bug(error: Exception) -> ServiceError:
    where = traceback.extract_tb(error.__traceback__)[-1]
    text = f"the offline cloud failed: {type(error).__name__}: {error} ({where.name}, line {where.lineno})"
    return ServiceError("INTERNAL", text)
