"""What the core and a provider tell each other: requests, ready to be acted on, and what comes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .refs import Ref
    from .specs import BatchSpec, DeploySpec, StepSpec


@dataclass(frozen=True, slots=True)
class CodeVersion:
    """A content-addressed snapshot of a code folder.

    Args:
        digest: sha256 over the names, modes and contents of its files.
        archive: the packed snapshot on this machine, an uncompressed tar.
        files: how many files.
        size: bytes.
    """

    digest: str
    archive: Path
    files: int = 0
    size: int = 0


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a job.

    Args:
        source: an absolute path, a glob, or a URI.
        version: the digest of its content, or what else identifies its version; empty when unknown.
    """

    source: str
    version: str = ""

    @property
    def is_uri(self) -> bool:
        """Whether the source is a URI rather than a path of this machine."""
        return "://" in self.source


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where a model version comes from; written as ``lineage.json`` beside the model, and as tags.

    Args:
        project: the project's name.
        intent: the digest that names the job.
        spec: digest of the step's spec.
        code: digest of the code.
        data: input name to its version.
        params: as given to the job.
        environment: framework, image, requirements digest.
    """

    project: str
    intent: str
    spec: str
    code: str
    data: Mapping[str, str]
    params: Mapping[str, Any]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job, ready to be submitted: every reference is resolved and every file is packed.

    Args:
        name: deterministic from the intent; submitting it again must find the first one.
        step: ``prepare``, ``train`` or ``evaluate``.
        spec: the step's spec.
        code: the packed code folder.
        inputs: name to source.
        secrets: name to value; never logged, stored or shown.
        requirements: the text of the requirements file, or None.
        lineage: of the model that the job may produce.
        checkpoint: names the checkpoints that the job starts from and writes; shared by repeated tries of one intent.
        options: the provider's own options for this step, an attribute of its overrides model; None when absent.
    """

    name: str
    step: str
    spec: StepSpec
    code: CodeVersion
    inputs: Mapping[str, Input]
    lineage: Lineage
    checkpoint: str = ""
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    requirements: str | None = None
    options: Any = None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model version.

    Args:
        ref: its handle; None for a folder that no job of ours made.
        location: a path or URI of the folder with its files.
        lineage: where it comes from, as in ``lineage.json``; empty for a folder that no job of ours made.
        metrics: the last value of each metric that its training logged.
        created: epoch seconds.
        requirements: the text of the requirements file of its training, or None.
    """

    ref: Ref | None
    location: str
    lineage: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    created: float | None = None
    requirements: str | None = None


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """A version of an endpoint, ready to be deployed.

    Args:
        endpoint: the endpoint's name.
        version: deterministic from model, predictor and settings; deploying it again changes nothing.
        project: the project's name.
        spec: the deployment's spec.
        model: what is served.
        code: the packed folder of the predictor, or None.
        predictor: the predictor's file name within that folder, or None.
        requirements: the text of the requirements file, or None.
        secrets: name to value; never logged, stored or shown.
        options: the provider's own options for this step; None when absent.
    """

    endpoint: str
    version: str
    project: str
    spec: DeploySpec
    model: ModelInfo
    code: CodeVersion | None = None
    predictor: str | None = None
    requirements: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: Any = None


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """Predictions for a table, ready to be made.

    Args:
        name: deterministic from the intent, as a job's; the result is a job.
        spec: the step's spec.
        model: what predicts.
        data: a file of JSON lines on this machine, or the URI of such an object or of a folder of them.
        lineage: of the predictions: model and data are in its ``data``.
        code: the packed folder of the predictor, or None.
        predictor: the predictor's file name within that folder, or None.
        requirements: the text of the requirements file, or None.
        secrets: name to value; never logged, stored or shown.
        options: the provider's own options for this step; None when absent.
    """

    name: str
    spec: BatchSpec
    model: ModelInfo
    data: Input
    lineage: Lineage
    code: CodeVersion | None = None
    predictor: str | None = None
    requirements: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    options: Any = None
    step: str = "batch"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a request would create, without creating it.

    Args:
        creates: one line for each thing that would be created.
        native: the provider's own request, JSON values only, secrets masked.
        notes: what is emulated, not portable, or worth knowing.
        cost: one line: what it costs and per what.
        exists: the handle of the earlier job or endpoint version that would be used instead, or None.
    """

    creates: Sequence[str]
    native: Mapping[str, Any]
    notes: Sequence[str] = ()
    cost: str = ""
    exists: Ref | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What an endpoint answered.

    Args:
        body: the raw bytes.
        content_type: of the body.
        version: the version that answered; empty when the provider does not tell.
    """

    body: bytes
    content_type: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class Captured:
    """A captured request with its predictions.

    Args:
        time: epoch seconds.
        version: the version that answered.
        inputs: its rows: objects, lists or scalars.
        outputs: one prediction for each row.
    """

    time: float
    version: str
    inputs: Sequence[Any]
    outputs: Sequence[Any]


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One thing that ``cloudops check`` looked at.

    Args:
        name: what was looked at.
        ok: whether it is fine.
        detail: one line of what was found.
        hint: what to do when it is not fine.
    """

    name: str
    ok: bool
    detail: str = ""
    hint: str = ""


#: Whatever is submitted.
Request = JobRequest | BatchRequest | DeployRequest
