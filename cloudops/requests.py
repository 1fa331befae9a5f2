"""From a spec to a request: code packed, data versioned, secrets looked up, and a name that follows from all of it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import projectfile
from .digests import digest
from .errors import ConfigError
from .provider import BatchRequest, CodeVersion, DeployRequest, Input, JobRequest, Lineage, ModelInfo
from .references import PENDING

if TYPE_CHECKING:
    from .specs import BatchSpec, DeploySpec, StepSpec

#: Seconds for which the version of remote data is taken to be what it was.
_REMEMBERED = 20.0

#: Fields of a deployment that say how it is rolled out rather than what is served.
_ROLLOUT_FIELDS = {"endpoint", "traffic"}


class Requests:
    """Builds the requests of one project in one place.

    Args:
        project: the project's name.
        root: where relative paths start.
        place: what tells one provider and its settings from another, JSON values only; part of every intent.
        file: the project file. It says what is done with the code and is no part of it, though it may lie in its
            folder: otherwise another number of replicas would mean another training.
    """

    def __init__(self, project: str, root: Path, place: Mapping[str, Any], file: Path | None = None) -> None:
        self.project = project
        self.root = root
        self.place = dict(place)
        self.store = root / ".cloudops" / "store"
        self.file = file or root / projectfile.NAME
        self._versions: dict[str, tuple[float, str]] = {}

    def job(
        self, step: str, spec: StepSpec, *, inputs: Mapping[str, str], secrets: Mapping[str, str], options: Any
    ) -> JobRequest:
        """The request for a step; ``inputs`` are its sources with every reference filled in."""
        code = self._pack(spec.code)
        sources = {name: self._input(source) for name, source in sorted(inputs.items())}
        requirements = self._read(spec.requirements)
        data = {name: item.version or _shown(item.source) for name, item in sources.items()}
        lineage = self._lineage(step, spec, code.digest, data, requirements, options)
        name = f"{self.project}-{step}-{lineage.intent[:10]}"
        return JobRequest(
            name=name,
            step=step,
            spec=spec,
            code=code,
            inputs=sources,
            lineage=lineage,
            secrets=secrets,
            requirements=requirements,
            options=options,
        )

    def batch(
        self, spec: BatchSpec, *, model: ModelInfo, data: str, secrets: Mapping[str, str], options: Any
    ) -> BatchRequest:
        """The request for predictions of a table; ``data`` is its source with every reference filled in.

        Raises:
            ConfigError: the table cannot be read.
        """
        code, predictor = self._predictor(spec.predictor)
        rows = self._rows(data, spec.label)
        requirements = self._read(spec.requirements)
        versions = {"data": rows.version or _shown(rows.source), "model": self._identity(model)}
        lineage = self._lineage("batch", spec, code.digest if code else "", versions, requirements, options)
        return BatchRequest(
            name=f"{self.project}-batch-{lineage.intent[:10]}",
            spec=spec,
            model=model,
            data=rows,
            lineage=lineage,
            code=code,
            predictor=predictor,
            requirements=requirements,
            secrets=secrets,
            options=options,
        )

    def _rows(self, source: str, label: str | None) -> Input:
        """A table as JSON lines: what is none of those yet is made so here, once for each version of it."""
        if source.startswith(PENDING) or (label is None and "://" in source and source.endswith((".jsonl", "/"))):
            return self._input(source)
        from .rows import json_lines

        return self._input(str(json_lines(source, self.root, label, self.store)))

    def _predictor(self, path: str | None) -> tuple[CodeVersion | None, str | None]:
        """The packed folder of a predictor, and the file's name in it."""
        if path is None:
            return None, None
        full = self.root / path
        return self._pack(str(full.parent)), full.name

    def deploy(self, spec: DeploySpec, *, model: ModelInfo, secrets: Mapping[str, str], options: Any) -> DeployRequest:
        """The request for a version of an endpoint."""
        code, predictor = self._predictor(spec.predictor)
        requirements = self._read(spec.requirements)
        version = digest(
            {
                "model": self._identity(model),
                "code": code.digest if code else None,
                "spec": spec.model_dump(mode="json", exclude=_ROLLOUT_FIELDS | {"model"}),
                "requirements": requirements,
                "options": _dump(options),
                # A rotated secret has to reach the replicas. Of its digest only a few bits end up in the version.
                "secrets": {name: digest([self.project, name, value]) for name, value in secrets.items()},
            }
        )
        return DeployRequest(
            endpoint=spec.endpoint,
            version=version[:8],
            project=self.project,
            spec=spec,
            model=model,
            code=code,
            predictor=predictor,
            requirements=requirements,
            secrets=secrets,
            options=options,
        )

    def _lineage(
        self,
        step: str,
        spec: StepSpec | BatchSpec,
        code: str,
        data: Mapping[str, str],
        requirements: str | None,
        options: Any,
    ) -> Lineage:
        described = spec.model_dump(mode="json", exclude={"code", "inputs", "data", "require", "model"})
        environment = {
            "framework": spec.framework or "",
            "image": spec.image or "",
            "requirements": digest(requirements) if requirements else "",
        }
        intent = digest(
            {
                "project": self.project,
                "place": self.place,
                "step": step,
                "spec": described,
                "code": code,
                "data": dict(data),
                "environment": environment,
                "options": _dump(options),
            }
        )
        return Lineage(
            project=self.project,
            intent=intent,
            spec=digest(described),
            code=code,
            data=dict(data),
            params=dict(getattr(spec, "params", {})),
            environment=environment,
        )

    def _identity(self, model: ModelInfo) -> str:
        if model.ref is not None:
            return str(model.ref)
        if model.location.startswith(PENDING):
            return model.location
        return self._input(model.location).version or model.location

    def _pack(self, folder: str) -> CodeVersion:
        from .store.snapshot import pack

        snapshot = pack(self.root / folder, self.store, without=self.file)
        return CodeVersion(snapshot.digest, snapshot.archive, snapshot.files, snapshot.bytes)

    def _input(self, source: str) -> Input:
        if source.startswith(PENDING):
            return Input(source)
        if "://" in source:
            return Input(source, self._version(source))
        from .store.snapshot import digest_path

        path = str(self.root / source)
        return Input(path, digest_path(path, self.store))

    def _version(self, uri: str) -> str:
        """The version of remote data: asked for once where one command looks at it for several steps in a row."""
        from .store.fetch import version

        asked, known = self._versions.get(uri, (-math.inf, ""))
        if time.monotonic() - asked > _REMEMBERED:
            known = version(uri, self.store)
            self._versions[uri] = (time.monotonic(), known)
        return known

    def _read(self, path: str | None) -> str | None:
        if path is None:
            return None
        try:
            return (self.root / path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: cannot be read as text: {error}") from error


def _shown(source: str) -> str:
    """A source as lineage may show it: the address of a signed URL says what was read, its signature is a secret."""
    from .store.uris import redact

    return redact(source)


def _dump(options: Any) -> Any:
    return None if options is None else options.model_dump(mode="json")
