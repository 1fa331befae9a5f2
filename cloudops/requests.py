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
from .provider import CodeVersion, DeployRequest, Input, JobRequest, Lineage, ModelInfo
from .references import PENDING

if TYPE_CHECKING:
    from .specs import DeploySpec, StepSpec

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
        lineage = self._lineage(step, spec, code, sources, requirements, options)
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

    def deploy(self, spec: DeploySpec, *, model: ModelInfo, secrets: Mapping[str, str], options: Any) -> DeployRequest:
        """The request for a version of an endpoint."""
        predictor = None if spec.predictor is None else self.root / spec.predictor
        code = None if predictor is None else self._pack(str(predictor.parent))
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
            predictor=predictor.name if predictor else None,
            requirements=requirements,
            secrets=secrets,
            options=options,
        )

    def _lineage(
        self,
        step: str,
        spec: StepSpec,
        code: CodeVersion,
        inputs: Mapping[str, Input],
        requirements: str | None,
        options: Any,
    ) -> Lineage:
        from .store.uris import redact

        # A signed URL is a secret; its address without the signature still says what was read.
        data = {name: item.version or redact(item.source) for name, item in inputs.items()}
        described = spec.model_dump(mode="json", exclude={"code", "inputs", "require", "model"})
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
                "code": code.digest,
                "data": data,
                "environment": environment,
                "options": _dump(options),
            }
        )
        return Lineage(
            project=self.project,
            intent=intent,
            spec=digest(described),
            code=code.digest,
            data=data,
            params=dict(spec.params),
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


def _dump(options: Any) -> Any:
    return None if options is None else options.model_dump(mode="json")
