"""Pure functions: a batch's request to CreateModel and CreateTransformJob, and what SageMaker says of such jobs."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cloudops.refs import Phase, Status

from . import images, jobs, machines, names
from .serving import hook_variables
from .statuses import failure, seconds

if TYPE_CHECKING:
    from cloudops.provider import BatchRequest

    from .jobs import Where
    from .options import SageMakerBatchOptions

LINES = "application/jsonlines"
#: Megabytes of the rows in one request: the service's own default.
_PAYLOAD = 6
_PHASES = {
    "Stopping": Phase.STOPPING,
    "Completed": Phase.SUCCEEDED,
    "Failed": Phase.FAILED,
    "Stopped": Phase.CANCELLED,
}
_NAME = re.compile(r"-batch-[0-9a-f]{10}(?:-[0-9]+)?$")


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """What a batch's request becomes, but for the address of its artifact and the name of its transform job.

    Args:
        model: the request of CreateModel, ``ModelDataUrl`` left out.
        transform: the request of CreateTransformJob, ``TransformJobName`` left out.
        requirements: of the container, or None.
        notes: what is emulated, or worth knowing.
        cost: one line.
    """

    model: dict[str, Any]
    transform: dict[str, Any]
    requirements: str | None
    notes: tuple[str, ...]
    cost: str


def is_batch(name: str) -> bool:
    """Whether a job of this name predicts; it is a transform job of SageMaker then, and no training job."""
    return _NAME.search(name) is not None


def transform_name(name: str, created: float) -> str:
    """The name of the transform job of a batch whose model was created at ``created`` (epoch seconds).

    Transform jobs cannot be deleted, and their names not be used again. So it is the model, which has the batch's own
    name, that says whether the batch exists; and its transform job has a name that follows from it.
    """
    return f"{name}-{int(created):08x}"


def prepare(request: BatchRequest, where: Where) -> PreparedBatch:
    """The native requests of a batch.

    Raises:
        ProviderError, ConfigError: something in the request has no place in SageMaker; names the key.
    """
    options: SageMakerBatchOptions | None = request.options
    count = options.instance_count if options else 1
    chosen = options.instance_type if options else None
    machine, notes = machines.choose("batch", request.spec.resources, chosen, hosting=True)
    image = images.choose("batch", request.spec.framework, request.spec.image, where.region, machine, inference=True)
    requirements = "\n".join([*image.requirements, request.requirements or ""]).strip() or None
    tags = names.job_tags(request, where.settings.tags)
    model: dict[str, Any] = {
        "ModelName": request.name,
        "ExecutionRoleArn": where.role,
        "PrimaryContainer": {"Image": image.uri, "Environment": _variables(request, where.region)},
        "Tags": tags,
    }
    if where.settings.subnets:
        model["VpcConfig"] = {
            "Subnets": where.settings.subnets,
            "SecurityGroupIds": where.settings.security_group_ids,
        }
    transform = _transform(request, where, machine, count, tags)
    all_notes = [*notes, *([image.note] if image.note else [])]
    return PreparedBatch(model, transform, requirements, tuple(all_notes), machines.price(machine, count))


def _variables(request: BatchRequest, region: str) -> dict[str, str]:
    secret = names.secret_name("jobs", request.name) if request.secrets else ""
    return hook_variables(
        "batch", request.spec.envs, region, name="model", version="1", predictor=request.predictor, secret=secret
    )


def _transform(request: BatchRequest, where: Where, machine: str, count: int, tags: list[Any]) -> dict[str, Any]:
    settings, resources = where.settings, {"InstanceType": machine, "InstanceCount": count}
    output: dict[str, Any] = {
        "S3OutputPath": predictions(request.name, where).removesuffix("/"),
        "Accept": LINES,
        "AssembleWith": "None",  # an answer's last line has its end: another one would be a line without a prediction
    }
    if settings.output_kms_key:
        output["KmsKeyId"] = settings.output_kms_key
    if settings.volume_kms_key:
        resources["VolumeKmsKeyId"] = settings.volume_kms_key
    return {
        "ModelName": request.name,
        "MaxPayloadInMB": _PAYLOAD,
        "BatchStrategy": "MultiRecord",
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": rows(request, where)}},
            "ContentType": LINES,
            "SplitType": "Line",
        },
        "TransformOutput": output,
        "TransformResources": resources,
        "Tags": tags,
    }


def rows(request: BatchRequest, where: Where) -> str:
    """Where the service reads the rows."""
    if jobs.is_s3(request.data):
        return request.data.source
    return where.layout.data(jobs.data_name(request.data)).uri + "/"


def predictions(name: str, where: Where) -> str:
    """Where the service writes the predictions: a folder."""
    return (where.layout.job(name) / "predictions").uri + "/"


def lineage_document(request: BatchRequest) -> bytes:
    """``lineage.json``, which lies beside the predictions."""
    return json.dumps({**asdict(request.lineage), "requirements": request.requirements}, indent=1).encode()


def shown(request: BatchRequest, prepared: PreparedBatch) -> dict[str, Any]:
    """The native requests, secrets masked; JSON values only."""
    container = {**prepared.model["PrimaryContainer"], "ModelDataUrl": "..."}
    native: dict[str, Any] = {
        "CreateModel": {**prepared.model, "PrimaryContainer": container},
        "CreateTransformJob": {"TransformJobName": f"{request.name}-...", **prepared.transform},
    }
    if request.secrets:
        native["secrets"] = dict.fromkeys(request.secrets, "***")
    return dict(json.loads(json.dumps(native)))


def batch_phase(status: str, *, started: bool = True) -> Phase:
    """The phase of a transform job; a state that is not known is UNKNOWN."""
    if status == "InProgress":
        return Phase.RUNNING if started else Phase.STARTING
    return _PHASES.get(status, Phase.UNKNOWN)


def batch_status(described: Mapping[str, Any], said: str = "") -> Status:
    """Where a transform job stands.

    Args:
        described: the answer of DescribeTransformJob.
        said: the model's own reason for a failure, where its log has one.
    """
    status = str(described.get("TransformJobStatus", ""))
    started = seconds(described.get("TransformStartTime"))
    phase = batch_phase(status, started=started is not None)
    reason, code = failure(str(described.get("FailureReason", "")))
    if phase is Phase.CANCELLED:
        reason = reason or "cancelled"
    resources = described.get("TransformResources", {})
    return Status(
        phase=phase,
        reason=said or reason,
        native=status,
        created=seconds(described.get("CreationTime")),
        started=started,
        ended=seconds(described.get("TransformEndTime")) if phase.final else None,
        exit_code=0 if phase is Phase.SUCCEEDED else code,
        details={"instance_type": resources.get("InstanceType"), "instance_count": resources.get("InstanceCount")},
    )
