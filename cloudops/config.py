"""The effective configuration: layers with the origin of every value.

Later layers win: defaults < ``cloudops.yaml`` < the target < environment < flags. Steps that name no code or
environment of their own take those of ``train``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from . import references
from .errors import ConfigError
from .problems import describe, shown
from .specs import Project
from .suggest import nearest
from .yamlfile import Place, dotted
from .yamlfile import load as load_yaml

DEFAULT_FILE = "cloudops.yaml"
ENVIRONMENT = {"provider": "CLOUDOPS_PROVIDER", "target": "CLOUDOPS_TARGET"}


@dataclass(frozen=True)
class Config:
    """A validated project and where its values come from.

    Args:
        project: the effective project; ``provider`` is the one to use, with the target applied.
        path: the project file.
        root: its folder; relative paths in the file start here.
        origins: place to layer, such as ``cloudops.yaml:12`` or ``--set``.
    """

    project: Project
    path: Path
    root: Path
    origins: Mapping[Place, str] = field(default_factory=dict)

    @property
    def provider(self) -> str:
        """The name of the provider to use."""
        return self.project.provider

    @property
    def target_settings(self) -> dict[str, Any]:
        """The settings of the target that is used, ``provider`` left out; empty without a target."""
        if self.project.target is None:
            return {}
        return dict(self.project.targets[self.project.target].model_extra or {})

    def origin(self, place: Place) -> str:
        """The layer that the value at ``place`` comes from."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.origins:
                return self.origins[place[:length]]
        return "default"

    def error(self, place: Place, message: str) -> ConfigError:
        """A one-line error about ``place``, with the file and the line."""
        origin = self.origin(place)
        return ConfigError(f"{self.path if origin == 'default' else origin}: {dotted(place)}: {message}")

    def values(self) -> Iterator[tuple[str, Any, str]]:
        """Every effective value with its dotted key and its layer."""
        yield from self._values(self.project.model_dump(mode="json"), ())

    def _values(self, value: Any, place: Place) -> Iterator[tuple[str, Any, str]]:
        if isinstance(value, dict) and value:
            for key, child in value.items():
                yield from self._values(child, (*place, key))
        elif value is not None:
            yield dotted(place), value, self.origin(place)


def load(
    path: str | Path | None = None,
    *,
    provider: str | None = None,
    target: str | None = None,
    assignments: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Read ``path`` and apply the other layers.

    Args:
        path: the project file; ``cloudops.yaml`` in the working directory by default.
        provider: the flag ``--provider``.
        target: the flag ``--target``.
        assignments: the flags ``--set``, each ``dotted.key=YAML value``.
        environ: the environment; that of the process by default.

    Raises:
        ConfigError: anything in any layer is wrong; one line with where, what and what was expected.
    """
    file = Path(path or (os.environ if environ is None else environ).get("CLOUDOPS_FILE") or DEFAULT_FILE)
    data, lines = load_yaml(file)
    origins = {place: f"{file}:{line}" for place, line in lines.items() if place}
    for text in assignments:
        _assign(data, origins, text)
    _choose(data, origins, provider, target, os.environ if environ is None else environ)
    _inherit(data, origins)
    project = validate(Project, data, origins, fallback=str(file))
    config = Config(_with_target(project, origins, file), file, file.absolute().parent, origins)
    for place, message in references.problems(config.project):
        raise config.error(place, message)
    return config


def validate(
    model: type[BaseModel], data: Any, origins: Mapping[Place, str], *, prefix: Place = (), fallback: str
) -> Any:
    """``data`` as an instance of ``model``, or a ConfigError of one line that names file, line and key."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        place, message = describe(error, model, data)
        full = prefix + place
        origin = next((origins[full[:n]] for n in range(len(full), 0, -1) if full[:n] in origins), fallback)
        lead = f"{dotted(prefix)}." if prefix and place else ""
        text = message if not prefix or place else message.replace("the file", dotted(prefix), 1)
        raise ConfigError(f"{origin}: {lead}{text}") from None


def _assign(data: dict[str, Any], origins: dict[Place, str], text: str) -> None:
    key, equals, value = text.partition("=")
    place = tuple(key.strip().split("."))
    if not equals or not all(place):
        raise ConfigError(f"--set {shown(text)}: expected KEY=VALUE, such as --set train.params.lr=0.2")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {key}: the value is not valid YAML: {' '.join(str(error).split())[:120]}") from error
    current: Any = data
    for part in place[:-1]:
        current = current.setdefault(part, {})
        if not isinstance(current, dict):
            raise ConfigError(f"--set {key}: {part!r} holds a value, so nothing can be set below it")
    current[place[-1]] = parsed
    for known in [known for known in origins if known[: len(place)] == place]:
        del origins[known]
    origins[place] = "--set"


def _choose(
    data: dict[str, Any],
    origins: dict[Place, str],
    provider: str | None,
    target: str | None,
    environ: Mapping[str, str],
) -> None:
    """Apply the provider or target of the environment and of the flags; the nearer layer replaces both."""
    layers = [
        ({key: environ.get(name) for key, name in ENVIRONMENT.items()}, "environment: "),
        ({"provider": provider, "target": target}, "flag: --"),
    ]
    for values, layer in layers:
        if values["provider"] and values["target"]:
            names = " and ".join(ENVIRONMENT.values() if "env" in layer else ("--provider", "--target"))
            raise ConfigError(f"{names} are both set; a target names its provider, so set one of them")
        for key, value in values.items():
            if value:
                data.pop("target", None)
                data[key] = value
                origins[(key,)] = layer + (ENVIRONMENT[key] if "env" in layer else key)


def _inherit(data: dict[str, Any], origins: dict[Place, str]) -> None:
    """Give ``prepare`` and ``evaluate`` the code and the environment of ``train`` where they name none."""
    train = data.get("train")
    for name in ("prepare", "evaluate"):
        step = data.get(name)
        if not isinstance(step, dict) or not isinstance(train, dict):
            continue
        groups = [["code"], ["requirements"], ["framework", "image"]]
        for key in [key for group in groups if not any(k in step for k in group) for key in group if key in train]:
            step[key] = train[key]
            origins[(name, key)] = f"{origins.get(('train', key), 'train')} (from train)"


def _with_target(project: Project, origins: dict[Place, str], file: Path) -> Project:
    if project.target is None:
        return project
    if project.target not in project.targets:
        known = ", ".join(sorted(project.targets)) or "none"
        hint = nearest(project.target, project.targets) or f"targets of this file: {known}"
        where = origins.get(("target",), str(file))
        raise ConfigError(f"{where}: target: {shown(project.target)} is not a key of targets; {hint}")
    chosen = ("targets", project.target, "provider")
    origins[("provider",)] = origins.get(chosen, str(file))
    return project.model_copy(update={"provider": project.targets[project.target].provider})
