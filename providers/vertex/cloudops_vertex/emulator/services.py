"""The services that the descriptors do not describe, by patterns of their hosts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .storage.api import StorageApi

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from .site import Site


def services(site: Site) -> Mapping[str, WSGIApplication]:
    """WSGI applications by patterns of hosts."""
    storage = StorageApi(site.buckets, site.projects.number, site.tokens.principal)
    return {"storage.googleapis.com": storage, "*.storage.googleapis.com": storage}
