"""The dialects that one server speaks at once, each a function from a :class:`Site` to its routes."""

from __future__ import annotations

from cloudops.runtime.routing import Route

from . import azure, open_inference, prometheus, sagemaker, vertex
from .common import Site

__all__ = ["Site", "routes"]


def routes(site: Site) -> list[Route]:
    """All routes. Vertex AI's come first: they are configured, and may be any path."""
    return [
        route for dialect in (vertex, sagemaker, azure, open_inference, prometheus) for route in dialect.routes(site)
    ]
