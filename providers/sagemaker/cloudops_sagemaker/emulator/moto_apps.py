"""moto's server-mode applications for everything around SageMaker, one for each service, found by host or signature."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .identify import Call
from .region import ACCOUNT

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_LOCKS = 64
_TRUST = (
    '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", '
    '"Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}]}'
)


class MotoApps:
    """The applications; their state is moto's own, which is one for the whole process.

    moto looks and then acts without a lock: of two requests for the same thing at once, one waits here.
    """

    def __init__(self) -> None:
        self._dispatch = _dispatcher()
        self._lock = threading.Lock()
        self._locks = [threading.Lock() for _ in range(_LOCKS)]

    def __call__(self, call: Call, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request.

        Raises:
            NotImplementedError: moto does not know the service or the operation.
        """
        application = self._dispatch(environ)
        if application is None:
            raise NotImplementedError
        thing = call.resource if call.service == "s3" else ""
        with self._locks[hash((call.service, thing)) % _LOCKS]:
            answer: Iterable[bytes] = application(environ, start_response)
            return answer

    def implements(self, operation: str) -> bool:
        """Whether moto answers an operation of SageMaker's."""
        from moto.core.utils import camelcase_to_underscores
        from moto.sagemaker.responses import SageMakerResponse

        return hasattr(SageMakerResponse, camelcase_to_underscores(operation))

    def reset(self, role: str) -> None:
        """Forget all state but the role that is there from the start."""
        from moto.core.base_backend import BackendDict
        from moto.iam.models import iam_backends

        with self._lock:
            BackendDict.reset()
            iam_backends[ACCOUNT]["aws"].create_role(role, _TRUST, "/", None, "Made by cloudops offline", [], None)


def _dispatcher() -> Any:
    from moto.backends import list_of_moto_modules
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    class Dispatcher(DomainDispatcherApplication):
        """moto's own, which looks through some 300 patterns for each request: it need not twice for one host."""

        @functools.lru_cache(maxsize=1000)  # noqa: B019 - it lives as long as the process
        def get_backend_for_host(self, host: str | None) -> Any:
            if host is None or host in list_of_moto_modules():
                return host
            for backend, pattern in self.backend_url_patterns:
                if pattern.match(f"http://{host}"):
                    return backend
            raise NotImplementedError

    dispatcher = Dispatcher(create_backend_app)

    def find(environ: WSGIEnvironment) -> WSGIApplication | None:
        application: WSGIApplication | None = dispatcher.get_application(environ)
        return application

    return find
