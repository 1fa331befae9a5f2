"""Which providers and observers are installed, and the one that is asked for, imported.

Names are read from the ``entry_points.txt`` files on the import path rather than through ``importlib.metadata``,
which takes 25 times as long and sits on the path of every command.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import PluginError, ProviderBroken, ProviderNotFound
from .hookspecs import PLUGINS, PROVIDERS, ObserverHooks, ProviderHooks

if TYPE_CHECKING:
    import pluggy

    from .provider import Provider, ProviderContext, ProviderInfo


@dataclass(frozen=True, slots=True)
class EntryPoint:
    """An entry point: its name, the module it names, and the distribution that brings it."""

    name: str
    module: str
    distribution: str
    version: str


def entry_points(group: str) -> dict[str, EntryPoint]:
    """The entry points of ``group`` by name; the first on the import path wins, as for imports."""
    found: dict[str, EntryPoint] = {}
    seen: set[str] = set()
    for folder in sys.path:
        for name in _distributions(folder or "."):
            identity = re.sub(r"[-_.]+", "-", _name_and_version(name)[0]).lower()
            if identity not in seen:  # an older copy of a distribution further down the path is shadowed as a whole
                seen.add(identity)
                for point in _of_distribution(os.path.join(folder or ".", name), group):
                    found.setdefault(point.name, point)
    return found


def _distributions(folder: str) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if name.endswith((".dist-info", ".egg-info")))
    except OSError:
        return []


def _of_distribution(folder: str, group: str) -> list[EntryPoint]:
    try:
        with open(os.path.join(folder, "entry_points.txt"), encoding="utf-8", errors="replace") as file:
            text = file.read()
    except OSError:
        return []
    return _parse(text, group, os.path.basename(folder)) if f"[{group}]" in text else []


def _parse(text: str, group: str, folder: str) -> list[EntryPoint]:
    distribution, version = _name_and_version(folder)
    section, found = "", []
    for line in text.splitlines():
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[]")
        elif section == group and "=" in line and not line.startswith("#"):
            name, _, module = (part.strip() for part in line.partition("="))
            found.append(EntryPoint(name, module.split("[")[0].strip(), distribution.replace("_", "-"), version))
    return found


def _name_and_version(folder: str) -> tuple[str, str]:
    name, _, version = folder.rpartition(".")[0].partition("-")
    return name, version


def provider_info(name: str) -> ProviderInfo:
    """What the provider ``name`` registers.

    Raises:
        ProviderNotFound: it is not installed; names the nearest one that is.
        ProviderBroken: it is installed and cannot be imported.
    """
    points = entry_points(PROVIDERS)
    if name not in points:
        raise _not_found(name, sorted(points))
    info = _registered(points[name])
    if getattr(info, "name", None) != name:
        what = "nothing" if info is None else f"itself as {getattr(info, 'name', info)!r}"
        raise ProviderBroken(
            f"the provider {name!r} of {points[name].distribution} registers {what}",
            provider=name,
            hint="its cloudops_provider hook must return a ProviderInfo of that name",
        )
    found: ProviderInfo = info
    return found


def _registered(point: EntryPoint) -> Any:
    """What the hook of a provider's entry point returns."""
    module = _import(point, "provider")
    manager = _manager(ProviderHooks)
    try:
        manager.register(module, point.name)
        return manager.hook.cloudops_provider()
    except Exception as error:
        raise _broken(point, "provider", "cannot be registered", error) from error


def create_provider(info: ProviderInfo, context: ProviderContext) -> Provider:
    """The provider itself, its modules imported now."""
    provider: Provider = load(info, info.create)(context)
    return provider


def load(info: ProviderInfo, path: str) -> Any:
    """The object that ``path`` (``module:attribute``) of a provider names.

    Raises:
        ProviderBroken: it cannot be imported or is not there.
    """
    module, _, attribute = path.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except PluginError:  # a MissingDependency says what to install
        raise
    except Exception as error:
        raise ProviderBroken(
            f"the provider {info.name!r} cannot load {path}: {type(error).__name__}: {error}",
            provider=info.name,
            hint="reinstall or upgrade the distribution that brings it",
        ) from error


def observers() -> pluggy.PluginManager:
    """All installed observers, registered.

    Raises:
        PluginError: one of them cannot be imported; a broken observer may be the one with a veto.
    """
    manager = _manager(ObserverHooks)
    for name, point in sorted(entry_points(PLUGINS).items()):
        module = _import(point, "plugin")
        try:
            manager.register(module, name)
        except Exception as error:
            raise _broken(point, "plugin", "cannot be registered", error) from error
    return manager


def _manager(hooks: type) -> pluggy.PluginManager:
    import pluggy

    manager = pluggy.PluginManager("cloudops")
    manager.add_hookspecs(hooks)
    return manager


def _import(point: EntryPoint, what: str) -> Any:
    module, _, attribute = point.module.partition(":")
    try:
        loaded: Any = importlib.import_module(module)
        return getattr(loaded, attribute) if attribute else loaded
    except Exception as error:
        raise _broken(point, what, "cannot be imported", error) from error


def _broken(point: EntryPoint, what: str, why: str, error: Exception) -> ProviderBroken:
    return ProviderBroken(
        f"the {what} {point.name!r} of {point.distribution} {point.version} is installed but {why}: "
        f"{type(error).__name__}: {error}",
        provider=point.name,
        hint="reinstall or upgrade that distribution",
    )


def _not_found(name: str, known: list[str]) -> ProviderNotFound:
    from .suggest import nearest

    return ProviderNotFound(
        f"the provider {name!r} is not installed (installed: {', '.join(known) or 'none'})",
        provider=name,
        hint=nearest(name, known),
    )
