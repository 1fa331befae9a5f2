"""Tells the installed observers what happens; costs nothing where none is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import CloudopsError, PluginError
from .hookspecs import PLUGINS
from .registry import entry_points, observers

if TYPE_CHECKING:
    import pluggy

    from .events import AfterSubmit, BeforeDelete, BeforeSubmit, StatusChanged

    Event = BeforeSubmit | AfterSubmit | BeforeDelete | StatusChanged


class Observers:
    """The observers of one session. Those of the installed ``cloudops.plugins`` are loaded at the first event.

    Args:
        plugins: further observers: objects or modules with hook implementations.
    """

    def __init__(self, plugins: tuple[object, ...] = ()) -> None:
        self._plugins = plugins
        self._manager: pluggy.PluginManager | None = None

    def tell(self, hook: str, event: Event) -> None:
        """Call ``hook`` of every observer.

        Raises:
            Vetoed: an observer refused (``before_submit``, ``before_delete``).
            PluginError: an observer broke; it may be the one with a veto, so it is not passed over.
        """
        manager = self._loaded()
        if manager is None:
            return
        try:
            getattr(manager.hook, hook)(event=event)
        except CloudopsError:
            raise
        except Exception as error:
            raise PluginError(
                f"an observer failed in {hook}: {type(error).__name__}: {error}",
                hint="mend or uninstall it; `cloudops providers` lists the observers",
            ) from error

    def _loaded(self) -> pluggy.PluginManager | None:
        if self._manager is None and (self._plugins or entry_points(PLUGINS)):
            self._manager = observers()
            for plugin in self._plugins:
                self._manager.register(plugin)
        return self._manager
