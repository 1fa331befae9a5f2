"""The hooks. Providers only register here; what they do is in :class:`cloudops.provider.Provider`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from .events import AfterSubmit, BeforeDelete, BeforeSubmit, StatusChanged
    from .provider import ProviderInfo

PROVIDERS = "cloudops.providers"
PLUGINS = "cloudops.plugins"

hookspec = pluggy.HookspecMarker("cloudops")
hookimpl = pluggy.HookimplMarker("cloudops")


class ProviderHooks:
    """For entry points of the group ``cloudops.providers``."""

    @hookspec(firstresult=True)
    def cloudops_provider(self) -> ProviderInfo:  # type: ignore[empty-body]
        """Describe the provider. Must import neither an SDK nor anything slow."""


class ObserverHooks:
    """For entry points of the group ``cloudops.plugins``. A veto is a raised :class:`cloudops.errors.Vetoed`."""

    @hookspec
    def before_submit(self, event: BeforeSubmit) -> None:
        """A job or deployment is about to be created."""

    @hookspec
    def after_submit(self, event: AfterSubmit) -> None:
        """A job or deployment was created or found."""

    @hookspec
    def on_event(self, event: StatusChanged) -> None:
        """A status changed while it was waited for."""

    @hookspec
    def before_delete(self, event: BeforeDelete) -> None:
        """Something is about to be deleted."""
