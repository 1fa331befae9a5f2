"""The effective configuration: layers with the origin of every value.

Later layers win: defaults < ``cloudops.yaml`` < the target < environment < flags. Steps that name no code or
environment of their own take those of ``train``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from . import projectfile, references
from .errors import ConfigError
from .problems import describe, shown
from .specs import FROM_FILE, Project
from .suggest import nearest
from .yamlfile import Place, dotted, kind_of, printable
from .yamlfile import load as load_yaml
from .yamlfile import parse as parse_yaml

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
        """The layer that the value at ``place``, or where there is none the nearest one around it, comes from."""
        return _origin(self.origins, place) or "default"

    def error(self, place: Place, message: str) -> ConfigError:
        """A one-line error about ``place``, with the file and the line."""
        origin = self.origin(place)
        lead = printable(str(self.path)) if origin == "default" else origin
        return ConfigError(f"{lead}: {dotted(place)}: {message}")

    def values(self) -> Iterator[tuple[str, Any, str]]:
        """Every effective value with its dotted key and its layer."""
        yield from self._values(self.project.model_dump(mode="json"), ())

    def _values(self, value: Any, place: Place) -> Iterator[tuple[str, Any, str]]:
        if isinstance(value, dict) and value:
            for key, child in value.items():
                yield from self._values(child, (*place, key))
        elif value is not None:
            yield dotted(place), value, self.origins.get(place, "default")


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
    environment = os.environ if environ is None else environ
    file = projectfile.chosen(path, environment)
    name = printable(str(file))
    data, lines = load_yaml(file)
    origins = {place: f"{name}:{line}" for place, line in lines.items() if place}
    for text in assignments:
        _assign(data, origins, text)
    _one_place(data, origins)
    _choose(data, origins, {key: environment.get(variable) or None for key, variable in ENVIRONMENT.items()}, "env")
    _choose(data, origins, {"provider": provider, "target": target}, "flag")
    _inherit(data, origins)
    project = validate(Project, data, origins, fallback=name)
    config = Config(_with_target(project, origins), file, file.resolve().parent, origins)
    for place, message in references.problems(config.project):
        raise config.error(place, message)
    return config


def validate(
    model: type[BaseModel], data: Any, origins: Mapping[Place, str], *, prefix: Place = (), fallback: str
) -> Any:
    """``data`` as an instance of ``model``, or a ConfigError of one line that names file, line and key."""
    try:
        return model.model_validate(data, context=FROM_FILE)
    except ValidationError as error:
        place, message = describe(error, model, data, prefix)
        together = all(item["type"] == "value_error" for item in error.errors(include_url=False, include_context=False))
        origin = (together and _changed(origins, place)) or _origin(origins, place)
        raise ConfigError(f"{origin or fallback}: {message}") from None


def _origin(origins: Mapping[Place, str], place: Place) -> str | None:
    """Where the value at ``place``, or the nearest one around it, comes from."""
    return next((origins[place[:n]] for n in range(len(place), 0, -1) if place[:n] in origins), None)


def _changed(origins: Mapping[Place, str], place: Place) -> str | None:
    """The flag that set a value inside of ``place``: of what does not go together, that is what somebody just did."""
    return "--set" if any(known[: len(place)] == place and origins[known] == "--set" for known in origins) else None


def _assign(data: dict[str, Any], origins: dict[Place, str], text: str) -> None:
    """Apply one ``--set``."""
    key, equals, value = text.partition("=")
    place = tuple(part.strip() for part in key.split("."))
    if not equals or not all(place):
        raise ConfigError(f"--set {shown(text)}: expected KEY=VALUE, such as --set train.params.lr=0.2")
    flag = f"--set {dotted(place)}"
    parsed, lines = parse_yaml(value, lambda line: flag)
    current: Any = data
    for index, part in enumerate(place[:-1]):
        if current.get(part) is None:
            current[part] = {}
            origins[place[: index + 1]] = "--set"
        current = current[part]
        if not isinstance(current, dict):
            above = dotted(place[: index + 1])
            raise ConfigError(f"{flag}: {above} is {kind_of(current)}, so it has no keys; set it as a whole")
    current[place[-1]] = parsed
    for known in [known for known in origins if known[: len(place)] == place]:
        del origins[known]
    origins.update({(*place, *inside): "--set" for inside in [(), *lines]})
    _forget_target(data, origins, place)


def _one_place(data: Mapping[str, Any], origins: Mapping[Place, str]) -> None:
    """Refuse a layer that names both a provider and a target."""
    if data.get("provider") is None or data.get("target") is None:
        return
    provider, target = origins[("provider",)], origins[("target",)]
    if (provider == "--set") == (target == "--set"):
        hint = "a target names its provider, so set one of them"
        raise ConfigError(f"{target}: target: {provider} sets provider too; {hint}")


def _forget_target(data: dict[str, Any], origins: dict[Place, str], place: Place) -> None:
    """A provider that is set in a nearer layer than the target goes before it."""
    if place == ("provider",) and origins.get(("target",)) != origins[place]:
        data.pop("target", None)


def _choose(
    data: dict[str, Any], origins: dict[Place, str], values: Mapping[str, str | None], layer: Literal["env", "flag"]
) -> None:
    """Apply the provider or target of the environment or of the flags; the nearer layer replaces both."""
    spelling = ENVIRONMENT if layer == "env" else {key: f"--{key}" for key in ENVIRONMENT}
    given = {key: value for key, value in values.items() if value is not None}
    if len(given) > 1:
        names = " and ".join(spelling.values())
        raise ConfigError(f"{names} are both set; a target names its provider, so set one of them")
    if layer == "env" and "--set" in (origins.get(("provider",)), origins.get(("target",))):
        return
    for key, value in given.items():
        data[key] = value
        origins[(key,)] = spelling[key]
        _forget_target(data, origins, (key,))


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


def _with_target(project: Project, origins: dict[Place, str]) -> Project:
    """``project`` with the provider of its target."""
    if project.target is None:
        return project
    if project.target not in project.targets:
        known = ", ".join(sorted(project.targets)) or "none"
        hint = nearest(project.target, project.targets) or f"targets of this file: {known[:200]}"
        raise ConfigError(f"{origins[('target',)]}: target: {shown(project.target)} is not a key of targets; {hint}")
    origins[("provider",)] = origins[("targets", project.target, "provider")]
    return project.model_copy(update={"provider": project.targets[project.target].provider})
