"""Opening a session: the project file, the provider and its settings brought together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ConfigError, ProviderNotFound
from .handles import attach
from .observers import Observers
from .provider import ProviderContext
from .registry import create_provider, load, provider_info
from .session import Session

if TYPE_CHECKING:
    from .config import Config
    from .provider import ProviderInfo
    from .yamlfile import Place


def connect(
    target: str | None = None,
    *,
    provider: str | None = None,
    file: str | os.PathLike[str] | None = None,
    project: str | None = None,
    root: str | os.PathLike[str] | None = None,
    plugins: tuple[object, ...] = (),
    environ: Mapping[str, str] | None = None,
    **settings: Any,
) -> Session:
    """A session with a provider.

    Args:
        target: a named target of the project file.
        provider: a provider's name, instead of a target.
        file: the project file; by default ``cloudops.yaml`` in ``root`` where there is one. None is fine for a
            session whose specs all come as arguments.
        project: the project's name, where there is no file.
        root: where relative paths start, where there is no file; the working directory by default.
        plugins: observers, beside the installed ones.
        environ: where secrets and ``CLOUDOPS_PROVIDER`` come from; that of the process by default.
        settings: the provider's target settings, over those of the target.

    Raises:
        ConfigError: the file or a setting is wrong.
        PluginError: the provider is not installed, or broken.
    """
    environment = os.environ if environ is None else environ
    folder = Path(root or ".").resolve()
    if file is None and project is None and (folder / "cloudops.yaml").is_file():
        file = folder / "cloudops.yaml"
    config: Config | None = None
    if file is not None:
        from .config import load as load_config

        config = load_config(Path(file), provider=provider, target=target, environ=environment)
    elif target is not None:
        raise ConfigError(f"the target {target!r} needs a project file", hint="pass file=, or provider= instead")
    return open_session(
        config,
        provider=provider,
        project=project,
        root=folder,
        settings=settings,
        plugins=plugins,
        environ=environment,
    )


def open_session(
    config: Config | None,
    *,
    provider: str | None = None,
    project: str | None = None,
    root: Path | None = None,
    settings: Mapping[str, Any] | None = None,
    plugins: tuple[object, ...] = (),
    environ: Mapping[str, str] | None = None,
) -> Session:
    """A session for a configuration that is loaded already; without one, for a provider by name."""
    environment = os.environ if environ is None else environ
    name = config.provider if config else provider or environment.get("CLOUDOPS_PROVIDER") or "local"
    info = _info(name, config)
    values = {**(config.target_settings if config else {}), **(settings or {})}
    folder = config.root if config else (root or Path.cwd())
    validated = _settings(info, values, config)
    built = create_provider(info, ProviderContext(root=folder, settings=validated))
    return Session(
        built,
        project=config.project.name if config else _project_name(project, folder),
        root=folder,
        place={"provider": info.name, "settings": validated.model_dump(mode="json")},
        overrides=_overrides(info, config),
        config=config,
        observers=Observers(plugins),
        environ=environment,
    )


def attached_session(uri: str, *, root: Path) -> Session:
    """A session without a project file, on the provider and in the place that a handle's URI names.

    Args:
        uri: of a job, a model version or an endpoint.
        root: where relative paths start, and where reports go.

    Raises:
        ConfigError: it is not a cloudops URI.
        PluginError: its provider is not installed.
    """
    found = attach(uri, root=root)
    return Session(found.provider, project=found.ref.id, root=root, place={})


def _info(name: str, config: Config | None) -> ProviderInfo:
    try:
        return provider_info(name)
    except ProviderNotFound as error:
        if config is None:
            raise
        raise ProviderNotFound(
            f"{config.origin(('provider',))}: provider: {error.message}", provider=name, hint=error.hint
        ) from None


def _settings(info: ProviderInfo, values: Mapping[str, Any], config: Config | None) -> Any:
    from .config import validate

    origins = config.origins if config else {}
    prefix: Place = ("targets", config.project.target) if config and config.project.target else ()
    fallback = str(config.path) if config else f"the settings of {info.name}"
    return validate(load(info, info.target), dict(values), origins, prefix=prefix, fallback=fallback)


def _overrides(info: ProviderInfo, config: Config | None) -> Any:
    """The validated overrides of the provider in use; those of the others are validated too, and left alone."""
    from .config import validate

    chosen = None
    for name, values in (config.project.overrides if config else {}).items():
        other = info if name == info.name else _overridden(name, config)
        model = load(other, other.overrides)
        found = validate(model, values, config.origins, prefix=("overrides", name), fallback=str(config.path))  # type: ignore[union-attr]
        chosen = found if name == info.name else chosen
    return chosen


def _overridden(name: str, config: Config | None) -> ProviderInfo:
    try:
        return provider_info(name)
    except ProviderNotFound as error:
        assert config is not None
        raise config.error(("overrides", name), str(error)) from None


def _project_name(given: str | None, folder: Path) -> str:
    from pydantic import TypeAdapter, ValidationError

    from .specs import Name

    try:
        return str(TypeAdapter(Name).validate_python(given or folder.name))
    except ValidationError:
        what = f"the project name {given!r}" if given else f"the folder's name {folder.name!r}"
        raise ConfigError(
            f"{what} cannot name a project", hint="pass project= with a-z, 0-9 and '-', a letter first"
        ) from None
