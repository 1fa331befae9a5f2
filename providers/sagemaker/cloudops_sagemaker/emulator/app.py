"""The WSGI application: our operations of SageMaker first, then moto's; every request is noted."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from . import refusals, service_quotas
from .identify import Call, body_of, identify, model
from .moto_apps import MotoApps
from .operations import NotOurs, ServiceError, handler
from .refusals import Refusal
from .runtime_api import runtime_handler
from .site import ROLE, Site
from .validation import Invalid, check

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

#: So many requests are remembered.
_REMEMBERED = 100_000


class Application:
    """Answers for all hosts of AWS that are emulated.

    Args:
        site: the emulated cloud.
    """

    def __init__(self, site: Site) -> None:
        from . import cloudwatch_layer, load_operations, s3_layer, scaling_layer

        load_operations()
        cloudwatch_layer.install(site)
        scaling_layer.install()
        s3_layer.install()
        self._site = site
        self._lock = threading.Lock()
        self._calls: list[dict[str, Any]] = []
        self._moto = MotoApps()
        self._moto.reset(ROLE)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        call = identify(environ)
        start = self._noting(call, start_response)
        try:
            if call.service == "sagemaker":
                return self._sagemaker(call, environ, start)
            if call.service == "sagemaker-runtime":
                runtime = runtime_handler(call.operation)
                if runtime is None:
                    raise NotImplementedError  # what moto answers is made up
                return runtime(self._site.region(call.region), call, environ, start)
            if call.service == "service-quotas":
                return _answered(service_quotas.answer(call.operation, _parameters(body_of(environ))), start)
            return self._moto(call, environ, start)
        except ServiceError as error:
            return refusals.answer(call, Refusal(error.code, error.message, error.status, error.members), start)
        except NotImplementedError:
            return refusals.answer(call, _not_emulated(call), start)
        except Exception as error:
            return refusals.answer(call, _bug(call, error), start)

    def refuse(self, refusal: Refusal, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request with an error, which is noted as every answer is."""
        call = identify(environ)
        return refusals.answer(call, refusal, self._noting(call, start_response))

    def calls(self) -> list[Mapping[str, Any]]:
        """The requests so far."""
        with self._lock:
            return [dict(one) for one in self._calls]

    def reset(self) -> None:
        """Forget all state of the services around SageMaker, and the requests so far."""
        self._moto.reset(ROLE)
        with self._lock:
            self._calls.clear()

    def _sagemaker(self, call: Call, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        operations = model("sagemaker").operation_names
        if call.operation not in operations:
            raise ServiceError("UnknownOperationException", f"SageMaker has no operation {call.operation!r}", 404)
        function = handler(call.operation)
        if function is None and not self._moto.implements(call.operation):
            raise NotImplementedError
        params = _parameters(body_of(environ))
        try:
            check(model("sagemaker").operation_model(call.operation).input_shape, params)
        except Invalid as error:
            raise ServiceError(error.code, str(error)) from None
        if function is None:
            return self._moto(call, environ, start_response)
        try:
            found = function(self._site.region(call.region), params)
        except NotOurs:
            return self._moto(call, environ, start_response)
        return _answered(found, start_response)

    def _noting(self, call: Call, start_response: StartResponse) -> StartResponse:
        """``start_response``, with the status noted once it is known."""
        noted = {
            "operation": call.name,
            "action": refusals.action(call),
            "resource": call.resource,
            "region": call.region,
            "principal": self._site.principal(call.key_id),
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


def _answered(found: Mapping[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    body = json.dumps(dict(found)).encode()
    headers = [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(body)))]
    start_response("200 OK", [*headers, ("x-amzn-RequestId", str(uuid.uuid4()))])
    return [body]


def _parameters(body: bytes) -> dict[str, Any]:
    try:
        params = json.loads(body or b"{}")
    except ValueError as error:
        raise ServiceError("SerializationException", f"the request's body is not JSON: {error}") from None
    if not isinstance(params, dict):
        raise ServiceError("SerializationException", "Start of structure or map expected")
    return params


def _not_emulated(call: Call) -> Refusal:
    name = call.name if call.operation else f"this operation of {call.prefix}"
    text = f"{name} is not emulated by the offline cloud; only a live account can answer it"
    return Refusal("NotImplemented", text, 501)


def _bug(call: Call, error: Exception) -> Refusal:
    import traceback

    where = traceback.extract_tb(error.__traceback__)[-1]
    text = (
        f"the offline cloud failed at {call.name}: {type(error).__name__}: {error} ({where.name}, line {where.lineno})"
    )
    code = "InternalError" if call.service == "s3" else "InternalFailure"
    return Refusal(code, text, 500)
