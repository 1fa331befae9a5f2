"""Vertex AI: health and prediction on the routes that it configures; see :mod:`cloudops.runtime.settings`."""

from __future__ import annotations

from cloudops.runtime.routing import Route

from .common import Site


def routes(site: Site) -> list[Route]:
    """Vertex AI's two routes."""
    settings = site.settings
    return [
        Route("GET", settings.health_route, site.health, health=True),
        Route("POST", settings.predict_route, site.predict, works=True),
    ]
