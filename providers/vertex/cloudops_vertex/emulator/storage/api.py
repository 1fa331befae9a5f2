"""Cloud Storage's two APIs as one WSGI application."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from . import batch, json_buckets, json_objects, uploads, xml_multipart, xml_objects
from .answer import Answer, of_error
from .buckets import Buckets
from .errors import NotEmulated, NotFound, StorageError
from .parts import Multiparts
from .refusals import unauthorized
from .request import Request
from .routes import Form
from .service import Service, handler
from .sessions import Sessions

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

#: Where the handlers are: they register themselves.
HANDLERS = (json_buckets, json_objects, uploads, xml_objects, xml_multipart)


class StorageApi:
    """A WSGI application for ``storage.googleapis.com`` and ``*.storage.googleapis.com``.

    Args:
        buckets: the state.
        project_number: of a project, by its id or number.
        principal: who makes a request; None for nobody who is known.
    """

    def __init__(
        self,
        buckets: Buckets,
        project_number: Callable[[str], str],
        principal: Callable[[WSGIEnvironment], str | None],
    ) -> None:
        sessions, multiparts = Sessions(buckets.uploads / "resumable"), Multiparts(buckets.uploads / "parts")
        self._service = Service(buckets, sessions, multiparts, project_number)
        self._principal = principal

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        return self._answered(environ).send(str(environ["REQUEST_METHOD"]), start_response)

    def _answered(self, environ: WSGIEnvironment) -> Answer:
        request, form = Request(environ), Form.JSON
        try:
            form = request.route.form
            return self._answer(request)
        except StorageError as error:
            return of_error(error, form)

    def _answer(self, request: Request) -> Answer:
        route = request.route
        self._check_caller(request)
        if route.missing:
            raise NotEmulated(route.missing)
        request.check_supported()
        if route.operation == "batch":
            return batch.answered(request, self._alone)
        found = handler(route.operation, route.form)
        if found is None:
            raise NotFound("Not Found", "NotFound")
        return found(self._service, request)

    def _check_caller(self, request: Request) -> None:
        """Whoever knows the address of a resumable upload may go on with it, without further credentials."""
        if self._principal(request.environ) is not None:
            return
        upload = request.query.get("upload_id", "")
        if request.route.operation != "objects.insert" or not self._service.sessions.known(upload):
            raise unauthorized(request.route, shown="HTTP_AUTHORIZATION" in request.environ)

    def _alone(self, environ: WSGIEnvironment) -> tuple[str, list[tuple[str, str]], bytes]:
        """Status, headers and body of the answer to a request in a batch."""
        request = Request(environ)
        alone = "/upload/" in request.path or "alt=media" in str(environ["QUERY_STRING"]) or "/batch" in request.path
        if alone:
            answer = of_error(StorageError("Uploads and downloads cannot be in a batch."), Form.JSON)
        else:
            answer = self._answered(environ)
        told: list[tuple[str, list[tuple[str, str]]]] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> Callable[[bytes], object]:
            told.append((status, headers))
            return lambda piece: None

        body = b"".join(answer.send(request.method, start))
        status, headers = told[0]
        return status, headers, body
