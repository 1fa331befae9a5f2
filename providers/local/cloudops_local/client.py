"""What this machine keeps and runs for a project folder: jobs and endpoints, through the engine."""

from __future__ import annotations

from .endpoints import Endpoints
from .jobs import Jobs


class LocalClient(Jobs, Endpoints):
    """The local provider's side of one project folder; see :class:`cloudops_local.workplace.Workplace`."""
