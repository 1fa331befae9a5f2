"""The operations of batch transform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudops.offline.faults import FaultKind

from . import models, subjects
from .instances import check_instance
from .keeping import on_restore
from .operations import ServiceError, invalid, operation
from .region import Record, Region
from .summaries import listed
from .tags import tags_of
from .transform_job import KIND, TransformJob
from .transform_request import completed

_SUMMARY = (
    "TransformJobName",
    "TransformJobArn",
    "CreationTime",
    "TransformEndTime",
    "LastModifiedTime",
    "TransformJobStatus",
    "FailureReason",
)


@operation("CreateTransformJob")
def create_transform_job(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """Begin to run a model over objects."""
    name, arn = params["TransformJobName"], region.arn(KIND, params["TransformJobName"])
    request = completed(params)
    model = models.existing(region, params["ModelName"])
    resources = params["TransformResources"]
    check_instance(resources["InstanceType"], resources["InstanceCount"], "transform job", _in_use(region, resources))
    with region.lock:
        if region.find(KIND, name):
            raise ServiceError(
                "ResourceInUse",
                "Job name must be unique within an AWS account and region, and a job with this name already exists "
                f"({arn})",
            )
        now = region.clock.now()
        described = {**request, "TransformJobArn": arn, "CreationTime": now, "LastModifiedTime": now}
        described["TransformJobStatus"] = "InProgress"
        record = Record(KIND, name, described, now)
        record.live = job = TransformJob(region, record, model)
        region.add(record, tags_of(params))
    region.site.drive(job.run)
    return {"TransformJobArn": arn}


@operation("DescribeTransformJob")
def describe_transform_job(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """How it stands."""
    record = _existing(region, params)
    with region.lock:
        described = {key: value for key, value in record.described.items() if key != "LastModifiedTime"}
    if region.faults.take({FaultKind.UNKNOWN_STATE}, subjects.TRANSFORM_JOB, record.name) is not None:
        described["TransformJobStatus"] = "Hibernating"
    return described


@operation("ListTransformJobs")
def list_transform_jobs(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """Those of this region."""

    def summary(record: Record) -> dict[str, Any]:
        return {key: record.described[key] for key in _SUMMARY if key in record.described}

    records, status = region.all(KIND), "TransformJobStatus"
    return listed(records, params, answer="TransformJobSummaries", summary=summary, status=status)


@operation("StopTransformJob")
def stop_transform_job(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """Begin to stop it."""
    record = _existing(region, params)
    with region.lock:
        status = record.described["TransformJobStatus"]
        if record.live is None or status not in ("InProgress", "Stopping"):
            raise invalid(f"The request was rejected because the transform job is in status {status}.")
        record.described["TransformJobStatus"] = "Stopping"
    record.live.stop()
    return {}


@on_restore(KIND)
def restore(region: Region, record: Record) -> None:
    """A job that ran when the emulator ended has failed."""
    described = record.described
    if described["TransformJobStatus"] in ("InProgress", "Stopping"):
        described |= {"TransformJobStatus": "Failed", "TransformEndTime": region.clock.now()}
        described["FailureReason"] = "InternalServerError: the offline cloud was ended while the job ran"


def _in_use(region: Region, resources: Mapping[str, Any]) -> int:
    """Instances of a type that transform jobs use now."""
    running = [one.described["TransformResources"] for one in region.all(KIND) if one.live is not None]
    return sum(one["InstanceCount"] for one in running if one["InstanceType"] == resources["InstanceType"])


def _existing(region: Region, params: Mapping[str, Any]) -> Record:
    found = region.find(KIND, params["TransformJobName"])
    if found is None:
        raise invalid(f"Could not find requested job with name: {params['TransformJobName']}.")
    return found
