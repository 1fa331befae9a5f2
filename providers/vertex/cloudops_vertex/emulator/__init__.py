"""Vertex AI on this machine, and what surrounds it: Cloud Storage, Logging, Monitoring, projects and credentials.

The protocol is that of the services' own descriptors (:mod:`.protocol`); jobs and models really run.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudops.offline.emulator import Emulator, Environment, Resource

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from cloudops.offline.emulator import Surroundings
    from cloudops.offline.faults import FaultKind

#: The modules that implement methods.
_OPERATIONS = (
    "operation_service",
    "records",
    "custom_jobs",
    "batch_prediction_jobs",
    "persistent_resources",
    "models",
    "endpoints",
    "deployments",
    "predictions",
    "logging_service",
    "monitoring_service",
    "metric_descriptors",
    "metric_writing",
    "resource_manager",
)


def load_operations() -> None:
    """Import the modules that implement methods."""
    import importlib

    for name in _OPERATIONS:
        importlib.import_module(f"{__name__}.{name}")


class VertexEmulator(Emulator):
    """Vertex AI, and the services around it.

    Args:
        surroundings: clock, faults, folder, images.
        literal: whether ``/gcs`` is that very path inside containers; None: wherever this machine allows it.
    """

    name = "vertex"
    hosts = ("*.googleapis.com", "metadata.google.internal", "*.prediction.vertexai.goog")

    @classmethod
    def environment(cls, folder: Path) -> Environment:
        """A throw-away service account, and a project where the caller has none."""
        from .credentials import environment

        return environment(folder)

    @classmethod
    def subjects(cls, kind: FaultKind, service: str) -> Collection[str] | None:
        """The calls or things that a fault can happen to."""
        from .subjects import subjects

        return subjects(kind, service)

    def __init__(self, surroundings: Surroundings, *, literal: bool | None = None) -> None:
        from cloudops.offline.machines.reaper import Reaper

        from .app import Application
        from .services import services
        from .site import Site

        surroundings.folder.mkdir(parents=True, exist_ok=True)
        self._surroundings = surroundings
        self._site = Site(surroundings, literal=literal)
        self._application = Application(self._site, self._site.tokens.principal, services(self._site))
        if surroundings.keep:
            from .keeping import restore

            restore(self._site, surroundings.folder / "kept")
        self._reaper = Reaper(self._site.folder, keep=False)

    @property
    def application(self) -> WSGIApplication:
        """Answers requests."""
        return self._application

    def operation(self, environ: WSGIEnvironment) -> tuple[str, str]:
        """``service:Operation`` and the name of the resource that a request is about."""
        return self._application.operation(environ)

    def refuse(self, kind: FaultKind, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer with the service's own error."""
        return self._application.fault(kind, environ, start_response)

    def resources(self) -> list[Resource]:
        """Jobs and endpoints, running ones first, then models and buckets."""
        from .status import resources

        return resources(self._site)

    def calls(self) -> list[Mapping[str, Any]]:
        """The requests so far."""
        return self._application.calls()

    def reset(self) -> None:
        """End everything that runs and forget all state."""
        self._site.reset()
        self._application.reset()

    def close(self) -> None:
        """End everything that runs; with ``keep`` write down what the next start needs."""
        self._site.end()
        if self._surroundings.keep:
            from .keeping import keep

            keep(self._site, self._surroundings.folder / "kept")
        self._site.buckets.close()
        self._reaper.dismiss()
