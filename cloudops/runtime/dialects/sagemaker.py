"""SageMaker: ``GET /ping``, ``POST /invocations`` in JSON, CSV or npy, with ``Accept`` honoured."""

from __future__ import annotations

from cloudops.runtime.routing import Route

from .common import Site


def routes(site: Site) -> list[Route]:
    """SageMaker's two routes."""
    return [Route("GET", "/ping", site.health, health=True), Route("POST", "/invocations", site.predict, works=True)]
