"""Prometheus: ``GET /metrics``."""

from __future__ import annotations

from cloudops.runtime.messages import Request, Response
from cloudops.runtime.routing import Route
from cloudops.runtime.stats import CONTENT_TYPE

from .common import Site


def routes(site: Site) -> list[Route]:
    """The metrics, at any time of the server's life."""

    def metrics(_request: Request) -> Response:
        capture = site.inference.capture
        text = site.stats.exposition(
            ready=site.lifecycle.ready,
            in_flight=site.lifecycle.in_flight,
            captured=capture.captured,
            dropped=capture.dropped,
        )
        return Response(200, text.encode(), CONTENT_TYPE)

    return [Route("GET", "/metrics", metrics)]
