"""The application: from a request to its response, the same under every server. Safe to call from several threads."""

from __future__ import annotations

import sys
import time
import traceback
from dataclasses import replace
from typing import Callable

from . import dialects, key
from .capture import Capture
from .errors import BadRequest, HttpError, shown
from .inference import Inference
from .lifecycle import Lifecycle
from .messages import Request, Response, error_response, request_id
from .predictor import Model
from .routing import Route, Routes
from .settings import Settings
from .stats import Stats

_OTHER = "other"  # the label of all requests that no route takes


class App:
    """Answers requests. ``clock`` gives epoch seconds."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self.lifecycle = Lifecycle()
        self._clock = clock
        self._stats = Stats({"model": settings.name, "version": settings.version})
        limit = settings.capture_limit
        capture = Capture(settings.capture_dir, settings.capture_sample, settings.version, limit=limit)
        self._inference = Inference(capture)
        site = dialects.Site(settings, self.lifecycle, self._stats, self._inference)
        self._routes = Routes(dialects.routes(site))

    def loaded(self, model: Model) -> None:
        """From now on ``model`` answers."""
        self._inference.model = model
        self.lifecycle.loaded = True

    def handle(self, request: Request) -> Response:
        """The response to ``request``: always one, never an exception."""
        started = time.perf_counter()
        request = replace(request, arrived=self._clock(), id=request_id(request.headers))
        label, response = self._answer(request)
        self._stats.record(label, response.status, time.perf_counter() - started)
        return self._finished(response, request.id)

    def refuse(self, status: int, message: str) -> Response:
        """The response to a request that the server could not read: it is too large, or damaged."""
        self._stats.record(_OTHER, status, 0.0)
        return self._finished(error_response(status, message), None)

    def too_large(self) -> Response:
        """The response to a request whose body is over the limit."""
        return self.refuse(413, f"the body is larger than {self.settings.max_payload} bytes; send fewer rows at a time")

    def _answer(self, request: Request) -> tuple[str, Response]:
        label = _OTHER
        try:
            route = self._route(request)
            label = route.path
            if route.works:
                self.lifecycle.worked()
                self._inference.loaded()
                _check_encoding(request)
            return label, route.answer(request)
        except BadRequest as error:
            return label, error_response(400, str(error))
        except HttpError as error:
            return label, error_response(error.status, str(error), error.headers)
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            return label, error_response(500, f"internal error: {shown(error)}")

    def _route(self, request: Request) -> Route:
        """The request's route; without the key none but those of health checks are told apart."""
        try:
            route = self._routes.find(request.method, request.path)
        except HttpError:
            key.check(self.settings.request_key, request.headers)
            raise
        if not route.health:
            key.check(self.settings.request_key, request.headers)
        return route

    def _finished(self, response: Response, id: str | None) -> Response:
        response.headers["x-cloudops-version"] = self.settings.version
        if id is not None:
            response.headers["x-request-id"] = id
        if self.lifecycle.draining:
            response.headers["connection"] = "close"
        return response


def _check_encoding(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", "identity"):
        message = f"content encoding {encoding[:60]!r} is not understood; send the body as it is"
        raise HttpError(415, message, {"Accept-Encoding": "identity"})
