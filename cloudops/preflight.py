"""What is checked before anything is created: capabilities, paths, secrets. Every refusal names its key."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import ConfigError, UnsupportedFeature
from .provider import Capability, Support
from .refs import Ref

if TYPE_CHECKING:
    from .specs import BatchSpec, DeploySpec, MonitorSpec, StepSpec
    from .yamlfile import Place

#: Place of a spec's field to the capability it needs when the predicate holds for the field's value.
_JOB_NEEDS: tuple[tuple[Place, Capability, Callable[[Any], bool]], ...] = (
    (("image",), Capability.IMAGE, bool),
    (("requirements",), Capability.REQUIREMENTS, bool),
    (("secrets",), Capability.SECRETS, bool),
    (("timeout",), Capability.TIMEOUT, bool),
    (("retries",), Capability.RETRIES, bool),
    (("resources", "accelerators"), Capability.ACCELERATORS, bool),
    (("resources", "use_spot"), Capability.SPOT, bool),
    (("resources", "num_nodes"), Capability.MULTI_NODE, lambda nodes: nodes > 1),
    (("resources", "disk_size"), Capability.DISK_SIZE, bool),
    (("resources", "instance_type"), Capability.INSTANCE_TYPE, bool),
    (("inputs",), Capability.REMOTE_INPUTS, lambda inputs: any("://" in source for source in inputs.values())),
)
_DEPLOY_NEEDS: tuple[tuple[Place, Capability, Callable[[Any], bool]], ...] = (
    (("image",), Capability.IMAGE, bool),
    (("requirements",), Capability.REQUIREMENTS, bool),
    (("secrets",), Capability.SECRETS, bool),
    (("resources", "accelerators"), Capability.ACCELERATORS, bool),
    (("resources", "instance_type"), Capability.INSTANCE_TYPE, bool),
    (("min_replicas",), Capability.SCALE_TO_ZERO, lambda replicas: replicas == 0),
    (("max_replicas",), Capability.AUTOSCALING, lambda replicas: replicas is not None and replicas > 1),
    (("traffic", "canary"), Capability.CANARY, bool),
    (("capture",), Capability.CAPTURE, bool),
    (("auth",), Capability.TOKEN_AUTH, lambda auth: auth == "token"),
    (("auth",), Capability.OPEN_ENDPOINT, lambda auth: auth == "none"),
)
#: A batch needs of these what has to do with its own fields.
_BATCH_NEEDS = (
    *(need for need in _DEPLOY_NEEDS if need[0][0] in ("image", "requirements", "secrets", "resources")),
    (("data",), Capability.REMOTE_INPUTS, lambda source: "://" in source),
)


class Preflight:
    """Checks for one provider and one project folder.

    Args:
        provider: the provider's name.
        capabilities: what it declares.
        root: where relative paths start.
        environ: where secrets come from.
    """

    def __init__(
        self,
        provider: str,
        capabilities: Mapping[Capability, Support],
        root: Path,
        environ: Mapping[str, str],
    ) -> None:
        self.provider = provider
        self.capabilities = capabilities
        self.root = root
        self.environ = environ

    def job(self, step: str, spec: StepSpec) -> None:
        """Raise for the first thing that stands in the way of ``spec``."""
        self._supported((), Capability.TRAIN)
        self._needs(step, spec, _JOB_NEEDS)
        self._folder((step, "code"), spec.code)
        if spec.requirements is not None:
            self._file((step, "requirements"), spec.requirements)
        for key, source in spec.inputs.items():
            self._source((step, "inputs", key), source)
        self._secrets(step, spec.secrets)
        self._model(step, getattr(spec, "model", None))

    def deploy(self, spec: DeploySpec) -> None:
        """Raise for the first thing that stands in the way of ``spec``."""
        self._supported((), Capability.DEPLOY)
        self._needs("deploy", spec, _DEPLOY_NEEDS)
        for field in ("predictor", "requirements"):
            if (path := getattr(spec, field)) is not None:
                self._file(("deploy", field), path)
        self._model("deploy", spec.model)
        self._secrets("deploy", spec.secrets)

    def batch(self, spec: BatchSpec) -> None:
        """Raise for the first thing that stands in the way of ``spec``."""
        self._supported((), Capability.BATCH)
        self._needs("batch", spec, _BATCH_NEEDS)
        for field in ("predictor", "requirements"):
            if (path := getattr(spec, field)) is not None:
                self._file(("batch", field), path)
        self._source(("batch", "data"), spec.data)
        self._model("batch", spec.model)
        self._secrets("batch", spec.secrets)

    def monitor(self, spec: MonitorSpec) -> None:
        """Raise for the first thing that stands in the way of ``spec``."""
        self._supported((), Capability.MONITOR)
        if spec.reference is not None:
            self._source(("monitor", "reference"), spec.reference)
        for key, source in spec.replay.items():
            self._source(("monitor", "replay", key), source)

    def secrets(self, names: list[str]) -> dict[str, str]:
        """The values of the secrets; :meth:`job` and :meth:`deploy` have seen that they are there."""
        return {name: self.environ[name] for name in names}

    def notes(self, step: str, spec: StepSpec | BatchSpec | DeploySpec) -> Iterator[str]:
        """One line for each field that the provider emulates rather than has."""
        table = {"deploy": _DEPLOY_NEEDS, "batch": _BATCH_NEEDS}.get(step, _JOB_NEEDS)
        for place, capability, needed in table:
            support = self.capabilities.get(capability)
            if needed(_value(spec, place)) and support is not None and support.ok and support.reason:
                yield f"{'.'.join((step, *map(str, place)))}: {support.reason}"

    def _needs(self, step: str, spec: Any, table: tuple[tuple[Place, Capability, Callable[[Any], bool]], ...]) -> None:
        for place, capability, needed in table:
            if needed(_value(spec, place)):
                self._supported((step, *place), capability)

    def _supported(self, place: Place, capability: Capability) -> None:
        support = self.capabilities.get(capability, Support(False, "the provider does not declare it"))
        if not support.ok:
            error = UnsupportedFeature(
                f"{self.provider} has no {capability.replace('_', ' ')}: {support.reason}",
                provider=self.provider,
                hint=support.hint or f"`cloudops providers {self.provider}` lists what it has",
            )
            raise error.at(*place) if place else error

    def _secrets(self, step: str, names: list[str]) -> None:
        for index, name in enumerate(names):
            if name not in self.environ:
                hint = f"export {name}=... and run again"
                raise ConfigError(f"{name} is not set", hint=hint).at(step, "secrets", index)

    def _model(self, step: str, model: str | None) -> None:
        if model is None or "${{" in model:
            return
        if not model.startswith("cloudops://"):
            self._folder((step, "model"), model)
            return
        try:
            Ref.parse(model)
        except ValueError as error:
            raise ConfigError(str(error)).at(step, "model") from error

    def _folder(self, place: Place, path: str) -> None:
        full = self.root / path
        if not full.is_dir():
            raise ConfigError(f"{_missing(full, path)}, expected a folder").at(*place)

    def _file(self, place: Place, path: str) -> None:
        full = self.root / path
        if not full.is_file():
            raise ConfigError(f"{_missing(full, path)}, expected a file").at(*place)

    def _source(self, place: Place, source: str) -> None:
        if "://" in source or "${{" in source:
            return
        full = self.root / source
        if full.exists() or (glob.has_magic(source) and glob.glob(str(full), recursive=True)):
            if not os.access(full, os.R_OK) and full.exists():
                raise ConfigError(f"{source!r} cannot be read; check its permissions").at(*place)
            return
        what = "matches no file" if glob.has_magic(source) else "does not exist"
        raise ConfigError(f"{source!r} {what} (looked in {self.root})").at(*place)


def _missing(full: Path, given: str) -> str:
    if full.exists():
        return f"{given!r} is a {'folder' if full.is_dir() else 'file'}"
    return f"{given!r} does not exist (looked for {full})"


def _value(spec: Any, place: Place) -> Any:
    for part in place:
        spec = getattr(spec, str(part))
    return spec
