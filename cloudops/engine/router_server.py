"""aiohttp's server, whose own errors have the shape of all others: ``{"error": ...}`` as JSON."""

from __future__ import annotations

import logging

from aiohttp import web

_log = logging.getLogger(__name__)


class Server(web.Server):
    """Makes a :class:`Handler` for each connection."""

    def __call__(self) -> web.RequestHandler:
        """Called by asyncio."""
        return Handler(self, loop=self._loop, **self._kwargs)


class Handler(web.RequestHandler):
    """One connection of a client."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is not HTTP (400), or what a bug of ours broke (500); called by aiohttp.

        Raises:
            ConnectionError: a part of an answer was sent already.
        """
        if status >= 500:
            _log.error("a request failed", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun already")
        what = "this is not HTTP as it is understood here" if status < 500 else "the router failed"
        why = f" ({type(exc).__name__})" if exc is not None else ""
        response = web.json_response({"error": what + why}, status=status)
        response.force_close()
        return response
