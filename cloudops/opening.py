"""Opening a session: the project file, the provider and its settings brought together."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import projectfile
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

#: The providers of this project, installed or not.
_OURS = ("azureml", "local", "sagemaker", "vertex")


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
        file: the project file; by default ``cloudops.yaml`` in ``root`` where there is one, unless ``project`` is
            another one than its. None is fine for a session whose specs all come as arguments.
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
    config = _project_file(folder, file, project, provider=provider, target=target, environ=environment)
    if config is None and target is not None:
        raise ConfigError(f"the target {target!r} needs a project file", hint="pass file=, or provider= instead")
    if config is not None and root is not None and config.root != folder:
        raise ConfigError(
            f"relative paths of {config.path} start in its folder, not in {folder}", hint="leave root out"
        )
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


def _project_file(
    folder: Path, file: str | os.PathLike[str] | None, project: str | None, **layers: Any
) -> Config | None:
    """The project file to use: the one that is named, or the folder's, unless another project is asked for."""
    found = Path(file) if file is not None else folder / projectfile.NAME
    if file is None and not found.is_file():
        return None
    from .config import load as load_config

    config = load_config(found, **layers)
    if project is None or project == config.project.name:
        return config
    if file is None:
        return None
    raise ConfigError(f"{found} is the file of {config.project.name!r}, not of {project!r}", hint="leave project out")


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
    """The validated settings of the target in use; those of the others are validated too, and left alone."""
    from .config import validate

    for name, target in config.project.targets.items() if config else ():
        other = _other(target.provider, ("targets", name, "provider"), config)
        if other is not None and name != config.project.target:  # type: ignore[union-attr]
            _validated(other.target, other, dict(target.model_extra or {}), ("targets", name), config)
    origins = config.origins if config else {}
    prefix: Place = ("targets", config.project.target) if config and config.project.target else ()
    fallback = str(config.path) if config else f"the settings of {info.name}"
    return validate(load(info, info.target), dict(values), origins, prefix=prefix, fallback=fallback)


def _overrides(info: ProviderInfo, config: Config | None) -> Any:
    """The validated overrides of the provider in use; those of the others are validated too, and left alone."""
    chosen = None
    for name, values in (config.project.overrides if config else {}).items():
        other = info if name == info.name else _other(name, ("overrides", name), config)
        if other is None:
            continue
        found = _validated(other.overrides, other, values, ("overrides", name), config)
        chosen = found if name == info.name else chosen
    return chosen


def _validated(model: str, info: ProviderInfo, values: Any, place: Place, config: Config | None) -> Any:
    from .config import validate

    assert config is not None
    return validate(load(info, model), values, config.origins, prefix=place, fallback=str(config.path))


def _other(name: str, place: Place, config: Config | None) -> ProviderInfo | None:
    """A provider that the file names and that is not used now.

    A file that is written for several clouds runs where only one of them is installed, so one of ours may be missing:
    what is said for it is then not looked at. Any other name is taken for a mistake.
    """
    try:
        return provider_info(name)
    except ProviderNotFound as error:
        if name in _OURS:
            return None
        assert config is not None
        raise config.error(place, str(error)) from None


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
