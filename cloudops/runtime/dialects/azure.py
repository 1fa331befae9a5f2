"""Azure ML: ``POST /score``, ``GET /`` and the probes ``/livez`` and ``/readyz``."""

from __future__ import annotations

from cloudops.runtime.routing import Route

from .common import Site


def routes(site: Site) -> list[Route]:
    """Azure ML's four routes."""
    return [
        Route("GET", "/", site.health, health=True),
        Route("GET", "/livez", site.live, health=True),
        Route("GET", "/readyz", site.health, health=True),
        Route("POST", "/score", site.predict, works=True),
    ]
