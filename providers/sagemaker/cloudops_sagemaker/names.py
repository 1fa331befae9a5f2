"""Names and places: everything that cloudops creates is found again by them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudops.provider import BatchRequest, JobRequest

#: Within the channel folder of a container; ``-`` cannot be part of an input's name, so no input has these.
JOB_CHANNEL = "cloudops-job"
CODE_CHANNEL = "cloudops-code"
_TAG_VALUE = re.compile(r"[^\w\s.:/=+\-@]", re.ASCII)


def job_pattern(project: str | None) -> re.Pattern[str]:
    """Matches the names of a project's jobs; groups: project, step, number of the try."""
    name = "[a-z][a-z0-9-]*?" if project is None else re.escape(project)
    return re.compile(rf"({name})-(prepare|train|evaluate)-[0-9a-f]{{10}}(?:-([0-9]+))?")


def batch_pattern(project: str | None) -> re.Pattern[str]:
    """Matches the names of a project's batches; group 1 is the project."""
    name = "[a-z][a-z0-9-]*?" if project is None else re.escape(project)
    return re.compile(rf"({name})-batch-[0-9a-f]{{10}}(?:-[0-9]+)?")


def any_job(name: str) -> tuple[str, str] | None:
    """Project and step of the job or batch of a name; None for a name that is no job's."""
    if match := job_pattern(None).fullmatch(name):
        return match[1], match[2]
    match = batch_pattern(None).fullmatch(name)
    return (match[1], "batch") if match else None


def tries(name: str) -> re.Pattern[str]:
    """Matches the jobs of one intent; group 1 is the number of the try."""
    return re.compile(rf"{re.escape(name)}(?:-([0-9]+))?")


@dataclass(frozen=True, slots=True)
class Place:
    """A prefix in a bucket; its address has no slash at its end."""

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """``s3://bucket/key``."""
        return f"s3://{self.bucket}/{self.key}" if self.key else f"s3://{self.bucket}"

    def __truediv__(self, name: str) -> Place:
        return Place(self.bucket, f"{self.key}/{name}" if self.key else name)

    @classmethod
    def parse(cls, uri: str) -> Place:
        """The place that ``s3://bucket/key`` names."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return cls(bucket, key.rstrip("/"))


@dataclass(frozen=True, slots=True)
class Layout:
    """Where things are, below one project's prefix.

    Args:
        base: ``s3://<bucket>/<prefix>/<project>``.
    """

    base: Place

    @classmethod
    def of(cls, bucket: str, prefix: str, project: str) -> Layout:
        """That of a project."""
        return cls(Place(bucket, prefix) / project)

    @property
    def jobs(self) -> Place:
        """What SageMaker puts the folders of jobs below."""
        return self.base / "jobs"

    def job(self, name: str) -> Place:
        """Everything of one job but its checkpoints."""
        return self.jobs / name

    def code(self, digest: str) -> Place:
        """One version of a code folder."""
        return self.base / "code" / digest

    def data(self, version: str) -> Place:
        """One version of an input that came from the caller's machine."""
        return self.base / "data" / version

    def checkpoints(self, name: str) -> Place:
        """What the tries of one intent share."""
        return self.base / "checkpoints" / name

    def endpoint(self, name: str) -> Place:
        """Everything of one endpoint."""
        return self.base / "endpoints" / name


def job_tags(request: JobRequest | BatchRequest, own: Mapping[str, str]) -> list[dict[str, str]]:
    """The tags of a job: what it is, and where its model comes from."""
    lineage = request.lineage
    values = {
        "project": lineage.project,
        "step": request.step,
        "intent": lineage.intent,
        "spec": lineage.spec,
        "code": lineage.code,
        "data": short_digest(dict(lineage.data)) if lineage.data else "",
        "params": short_digest(dict(lineage.params)) if lineage.params else "",
        **{key: value for key, value in lineage.environment.items() if value},
    }
    return tags(values, own)


#: The name of the variant of an endpoint with one version: blue/green updates need equal names on both sides.
MAIN = "main"


def tags(values: Mapping[str, str], own: Mapping[str, str]) -> list[dict[str, str]]:
    """``values`` as tags of cloudops, and the target's own; AWS takes 50 of 256 characters."""
    ours = {f"cloudops:{key}": _TAG_VALUE.sub("_", value)[:256] for key, value in values.items() if value}
    return [{"Key": key, "Value": value} for key, value in {**own, **ours}.items()]


def untagged(given: list[dict[str, str]]) -> dict[str, str]:
    """The tags of cloudops, without their prefix."""
    return {tag["Key"].removeprefix("cloudops:"): tag["Value"] for tag in given if tag["Key"].startswith("cloudops:")}


def short_digest(value: Any, length: int = 16) -> str:
    """The beginning of the sha256 of a JSON value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:length]


def secret_name(kind: str, name: str) -> str:
    """The name of the secret of a job or of a version of an endpoint."""
    return f"cloudops/{kind}/{name}"
