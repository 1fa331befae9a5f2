"""Names, labels and places: everything that cloudops creates is found again by them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudops.provider import JobRequest

#: Of Secret Manager.
SECRETS = "https://secretmanager.googleapis.com/v1"
#: Labels by which jobs are found. A custom job's id is the service's own, and display names are not unique.
NAME, BASE, PROJECT, STEP, CHECKPOINT = (
    f"cloudops_{word}" for word in ("name", "base", "project", "step", "checkpoint")
)
#: The label of an endpoint's models that names the endpoint.
ENDPOINT, VERSION = "cloudops_endpoint", "cloudops_version"
_LABEL = re.compile(r"[^a-z0-9_-]")
_TRY = re.compile(r"([a-z][a-z0-9-]*?-(?:prepare|train|evaluate)-[0-9a-f]{10})(?:-([0-9]+))?")


def job_pattern(project: str | None) -> re.Pattern[str]:
    """Matches the names of a project's jobs; groups: project, step, number of the try."""
    name = "[a-z][a-z0-9-]*?" if project is None else re.escape(project)
    return re.compile(rf"({name})-(prepare|train|evaluate)-[0-9a-f]{{10}}(?:-([0-9]+))?")


def any_job(name: str) -> tuple[str, str] | None:
    """Project and step of the job of a name; None for a name that is no job's."""
    match = job_pattern(None).fullmatch(name)
    return (match[1], match[2]) if match else None


def base_of(name: str) -> str:
    """The name of the first try of the same intent."""
    match = _TRY.fullmatch(name)
    return match[1] if match else name


def tries(name: str) -> re.Pattern[str]:
    """Matches the jobs of one intent; group 1 is the number of the try."""
    return re.compile(rf"{re.escape(name)}(?:-([0-9]+))?")


@dataclass(frozen=True, slots=True)
class Place:
    """A prefix in a bucket, or an object; its address has no slash at its end."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """``gs://bucket/key``."""
        return f"gs://{self.bucket}/{self.key}" if self.key else f"gs://{self.bucket}"

    def __truediv__(self, name: str) -> Place:
        return Place(self.bucket, f"{self.key}/{name}" if self.key else name)

    @classmethod
    def parse(cls, uri: str) -> Place:
        """The place that ``gs://bucket/key`` names."""
        bucket, _, key = uri.removeprefix("gs://").partition("/")
        return cls(bucket, key.rstrip("/"))


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are, below one project's prefix.

    Args:
        base: ``gs://<bucket>/<prefix>/<project>``.
    """

    base: Place

    @classmethod
    def of(cls, bucket: str, prefix: str, project: str) -> Layout:
        """That of a project."""
        return cls(Place(bucket, prefix) / project)

    @property
    def jobs(self) -> Place:
        """The folders of jobs."""
        return self.base / "jobs"

    def job(self, name: str) -> Place:
        """Everything of one job but its checkpoints."""
        return self.jobs / name

    def claim(self, name: str) -> Place:
        """The object that exactly one submitter of a job creates."""
        return self.job(name) / "claim.json"

    def code(self, digest: str) -> Place:
        """The archive of one version of a code folder."""
        return self.base / "code" / digest / "code.tar"

    def data(self, version: str) -> Place:
        """One version of an input that came from the caller's machine."""
        return self.base / "data" / version

    @property
    def endpoints(self) -> Place:
        """The folders of endpoints."""
        return self.base / "endpoints"

    def endpoint(self, name: str) -> Place:
        """Everything of one endpoint: a folder for each version."""
        return self.endpoints / name

    def checkpoints(self, name: str) -> Place:
        """What the tries of one intent share."""
        return self.base / "checkpoints" / name


def job_labels(request: JobRequest, own: Mapping[str, str]) -> dict[str, str]:
    """The labels of a job: what it is, where its model comes from, and the target's own."""
    lineage = request.lineage
    values = {
        NAME: request.name,
        BASE: base_of(request.name),
        PROJECT: lineage.project,
        STEP: request.step,
        CHECKPOINT: request.checkpoint or request.name,
        "cloudops_intent": lineage.intent,
        "cloudops_spec": lineage.spec,
        "cloudops_code": lineage.code,
        "cloudops_data": short_digest(dict(lineage.data)) if lineage.data else "",
        "cloudops_params": short_digest(dict(lineage.params)) if lineage.params else "",
        **{f"cloudops_{key}": value for key, value in lineage.environment.items() if value},
    }
    return {**own, **{label(key): label(value) for key, value in values.items() if value}}


def label(text: str) -> str:
    """``text`` as a label takes it: lower case, digits, ``_`` and ``-``, 63 at most."""
    return _LABEL.sub("_", text.lower())[:63]


def short_digest(value: Any, length: int = 16) -> str:
    """The beginning of the sha256 of a JSON value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def secret_id(name: str, kind: str = "jobs") -> str:
    """The id of the secret of a job, or of an endpoint's version (of the kind ``endpoints``)."""
    return f"cloudops-{kind}-{name}"


def secret_url(project: str, name: str, kind: str = "jobs") -> str:
    """The address of such a secret."""
    return f"{SECRETS}/projects/{project}/secrets/{secret_id(name, kind)}"
