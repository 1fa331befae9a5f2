"""What the service checks of a BatchPredictionJob beyond the types of its fields, and what it fills in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from .machine_types import MachineType, check_machine
from .protocol.errors import ServiceError, refused

#: Replicas at most, where the job says nothing, and instances in one request to a replica: the service's own defaults.
_REPLICAS, BATCH = 10, 64
#: Members of a job that this emulator cannot honour: one with such is refused rather than half obeyed.
_NOT_EMULATED = (
    "unmanaged_container_model",
    "endpoint",
    "generate_explanation",
    "explanation_spec",
    "model_monitoring_config",
)
_INPUTS, _OUTPUTS = ("gcs_source",), ("gcs_destination",)
_TYPES = ("", "object", "array")
_JOB = "batch_prediction_job"


def check_request(job: Any) -> MachineType:
    """Check a job, fill in what the service does, and say what its machines are.

    Raises:
        ServiceError: the service's own answer, or what it is that is not emulated.
    """
    _check_emulated(job)
    problems = list(_problems(job))
    if problems:
        raise refused(problems)
    resources = job.dedicated_resources
    size = check_machine(resources.machine_spec, f"{_JOB}.dedicated_resources.machine_spec", "custom_model_serving")
    resources.max_replica_count = resources.max_replica_count or _REPLICAS
    resources.starting_replica_count = resources.starting_replica_count or 1
    job.manual_batch_tuning_parameters.batch_size = job.manual_batch_tuning_parameters.batch_size or BATCH
    return size


def _check_emulated(job: Any) -> None:
    given = [name for name in _NOT_EMULATED if _is_set(job, name)]
    for part, good in (("input_config", _INPUTS), ("output_config", _OUTPUTS)):
        message = getattr(job, part)
        which = message.WhichOneof("source" if part == "input_config" else "destination")
        given += [f"{part}.{which}"] if which is not None and which not in good else []
    given += [
        f"dedicated_resources.{name}" for name in ("spot", "flex_start") if _is_set(job.dedicated_resources, name)
    ]
    if given:
        raise ServiceError("UNIMPLEMENTED", f"Not emulated by the offline cloud: {_JOB}.{given[0]}. Leave it out.")
    for part, name in (("input_config", "instances_format"), ("output_config", "predictions_format")):
        found = getattr(getattr(job, part), name)
        if found not in ("", "jsonl"):
            text = f"Not emulated by the offline cloud: {_JOB}.{part}.{name} {found!r}; it takes jsonl."
            raise ServiceError("UNIMPLEMENTED", text)


def _problems(job: Any) -> Iterator[tuple[str, str]]:
    if not job.model:
        yield f"{_JOB}.model", "Exactly one of model and unmanaged_container_model must be set."
    if not job.input_config.gcs_source.uris:
        yield f"{_JOB}.input_config.gcs_source.uris", "At least one URI must be specified."
    for uri in job.input_config.gcs_source.uris:
        if not uri.startswith("gs://"):
            yield f"{_JOB}.input_config.gcs_source.uris", f"Invalid Google Cloud Storage URI {uri!r}."
    if not job.output_config.gcs_destination.output_uri_prefix.startswith("gs://"):
        text = f"Invalid Google Cloud Storage URI {job.output_config.gcs_destination.output_uri_prefix!r}."
        yield f"{_JOB}.output_config.gcs_destination.output_uri_prefix", text
    yield from _instances(job.instance_config)
    if not _is_set(job, "dedicated_resources"):
        yield f"{_JOB}.dedicated_resources", "Dedicated resources must be specified for this Model."
    resources = job.dedicated_resources
    if resources.starting_replica_count < 0 or resources.max_replica_count < 0:
        yield f"{_JOB}.dedicated_resources", "The replica counts must not be negative."
    elif resources.starting_replica_count > (resources.max_replica_count or _REPLICAS):
        text = "The starting replica count must not be above the maximum."
        yield f"{_JOB}.dedicated_resources.starting_replica_count", text
    if job.manual_batch_tuning_parameters.batch_size < 0:
        yield f"{_JOB}.manual_batch_tuning_parameters.batch_size", "The batch size must not be negative."


def _instances(config: Any) -> Iterator[tuple[str, str]]:
    where = f"{_JOB}.instance_config"
    if config.instance_type not in _TYPES:
        yield f"{where}.instance_type", f"Invalid instance type {config.instance_type!r}; expected object or array."
    if config.included_fields and config.excluded_fields:
        yield f"{where}.excluded_fields", "Only one of included_fields and excluded_fields can be set."
    if config.key_field and config.key_field in config.included_fields:
        yield f"{where}.included_fields", "The key field cannot be an included field."


def _is_set(message: Any, name: str) -> bool:
    return any(field.name == name for field, _ in message.ListFields())
