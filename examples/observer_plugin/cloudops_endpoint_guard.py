"""An observer for cloudops: only endpoints named in ``CLOUDOPS_ALLOWED_ENDPOINTS`` may be deployed to or deleted.

The variable is a list with commas; where it is not set, nothing is guarded. An observer vetoes by raising
:class:`cloudops.errors.Vetoed`; it implements the hooks of :class:`cloudops.hookspecs.ObserverHooks` that it needs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from cloudops.errors import Vetoed
from cloudops.hookspecs import hookimpl
from cloudops.provider import DeployRequest

if TYPE_CHECKING:
    from cloudops.events import BeforeDelete, BeforeSubmit

VARIABLE = "CLOUDOPS_ALLOWED_ENDPOINTS"


@hookimpl
def before_submit(event: BeforeSubmit) -> None:
    """Jobs pass; deployments are looked at."""
    if isinstance(event.request, DeployRequest):
        _guard(event.request.endpoint, "deployed to")


@hookimpl
def before_delete(event: BeforeDelete) -> None:
    """Jobs pass; endpoints are looked at."""
    if event.ref.kind == "endpoints":
        _guard(event.ref.id, "deleted")


def _guard(endpoint: str, what: str) -> None:
    allowed = os.environ.get(VARIABLE)
    if allowed is not None and endpoint not in [name.strip() for name in allowed.split(",")]:
        raise Vetoed(f"the endpoint {endpoint} may not be {what}", hint=f"{VARIABLE} allows: {allowed or 'none'}")
