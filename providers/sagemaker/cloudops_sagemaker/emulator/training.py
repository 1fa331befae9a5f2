"""The operations of training jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cloudops.offline.faults import FaultKind

from . import subjects, warm_pools
from .keeping import on_restore
from .listing import page
from .operations import ServiceError, invalid, operation
from .region import Record
from .tags import tags_of
from .training_job import KIND, TrainingJob
from .training_request import check_request
from .training_states import enter

if TYPE_CHECKING:
    from .region import Region

_FINAL = ("Completed", "Failed", "Stopped")
_MEMBERS = {"CreationTime": "CreationTime", "LastModifiedTime": "LastModifiedTime", "Status": "TrainingJobStatus"}
_DESCRIBED = (
    "HyperParameters",
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "VpcConfig",
    "StoppingCondition",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "CheckpointConfig",
    "ProfilerConfig",
    "Environment",
    "RetryStrategy",
    "RemoteDebugConfig",
    "InfraCheckConfig",
)
_SUMMARY = (
    "TrainingJobName",
    "TrainingJobArn",
    "CreationTime",
    "TrainingEndTime",
    "LastModifiedTime",
    "TrainingJobStatus",
    "SecondaryStatus",
    "WarmPoolStatus",
)


@operation("CreateTrainingJob")
def create(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """CreateTrainingJob."""
    params = _completed(params)
    name, arn = params["TrainingJobName"], region.arn(KIND, params["TrainingJobName"])
    tags = tags_of(params)
    _check_name(region, name, arn)
    check_request(region, params)
    now = region.clock.now()
    record = Record(KIND, name, _described(params, arn, now), now)
    record.live = TrainingJob(region, record, params)
    with region.lock:
        _check_name(region, name, arn)
        if warm_pools.join(region, record, params):
            record.live.take_over()
        region.add(record, tags)
    region.site.drive(record.live.run)
    return {"TrainingJobArn": arn}


@operation("DescribeTrainingJob")
def describe(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """DescribeTrainingJob."""
    record = _existing(region, params)
    unknown = region.faults.take({FaultKind.UNKNOWN_STATE}, subjects.TRAINING_JOB, record.name)
    with region.lock:
        warm_pools.refresh(region, record)
        described = {**record.described, "SecondaryStatusTransitions": _copied(record)}
    if unknown is not None:
        described |= {"TrainingJobStatus": "Hibernating", "SecondaryStatus": "Hibernating"}
    return described


@operation("ListTrainingJobs")
def list_jobs(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """ListTrainingJobs."""
    if "TrainingPlanArnEquals" in params:
        return {"TrainingJobSummaries": []}  # there is none with a plan
    with region.lock:
        records = region.all(KIND)
        for one in records:
            warm_pools.refresh(region, one)
        if pool := params.get("WarmPoolStatusEquals"):
            records = [one for one in records if one.described.get("WarmPoolStatus", {}).get("Status") == pool]
        found, token = page(records, params, members=_MEMBERS)
        jobs = [{name: one.described[name] for name in _SUMMARY if name in one.described} for one in found]
    return {"TrainingJobSummaries": jobs, **({"NextToken": token} if token else {})}


@operation("StopTrainingJob")
def stop(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """StopTrainingJob."""
    record = _existing(region, params)
    with region.lock:
        status = record.described["TrainingJobStatus"]
        if status in _FINAL or record.live is None:
            raise _conflict(status)
        if status != "Stopping":
            record.live.stop()
    return {}


@operation("UpdateTrainingJob")
def update(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """UpdateTrainingJob, of how long a warm pool is kept; profiler and debugger are not emulated."""
    record = _existing(region, params)
    given = sorted(set(params) - {"TrainingJobName", "ResourceConfig"})
    if given or "ResourceConfig" not in params:
        what = ", ".join(given) or "nothing to do"
        raise invalid(f"Not emulated by the offline cloud: UpdateTrainingJob with {what}.")
    warm_pools.change(region, record, params["ResourceConfig"]["KeepAlivePeriodInSeconds"])
    return {"TrainingJobArn": record.described["TrainingJobArn"]}


@operation("DeleteTrainingJob")
def delete(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """DeleteTrainingJob."""
    record = _existing(region, params)
    with region.lock:
        if record.live is not None:
            raise ServiceError("ResourceInUse", f"Training job {record.name} is in use: stop it before it is deleted")
        warm_pools.refresh(region, record)
        if warm_pools.available(record):
            raise ServiceError(
                "ResourceInUse",
                f"Training job {record.name} retains an Available warm pool: terminate it (UpdateTrainingJob with a "
                "KeepAlivePeriodInSeconds of 0) before the job is deleted",
            )
        region.remove(KIND, record.name)
    return {}


@operation("Search")
def search(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """Search, for training jobs by tag, name and status."""
    from .operations import NotOurs
    from .searching import matches

    if params["Resource"] != "TrainingJob":
        raise NotOurs
    with region.lock:
        found = []
        for record in region.all(KIND):
            warm_pools.refresh(region, record)
            tags = region.tags(region.arn(KIND, record.name)) or {}
            if matches(record.described, tags, params.get("SearchExpression", {})):
                found.append(record)
        chosen, token = page(
            found, {key: params[key] for key in ("MaxResults", "NextToken") if key in params}, members=_MEMBERS
        )
        results = [{"TrainingJob": {**one.described, "Tags": _tags(region, one)}} for one in chosen]
    return {"Results": results, **({"NextToken": token} if token else {})}


@on_restore(KIND)
def _restored(region: Region, record: Record) -> None:
    """A job that had not ended when the emulator was closed (it waited for a worker, say) has failed."""
    if record.described["TrainingJobStatus"] not in _FINAL:
        reason = "InternalServerError: the offline cloud was closed before the job had ended"
        enter(record.described, "Failed", reason, region.clock.now(), "Failed")
        record.described["FailureReason"] = reason
        warm_pools.leave(region, record, keep=False)


def _completed(params: Mapping[str, Any]) -> dict[str, Any]:
    """The request with what the service supplies."""
    resources = {"VolumeSizeInGB": 30, **params.get("ResourceConfig", {})}
    return {
        "EnableNetworkIsolation": False,
        "EnableInterContainerTrafficEncryption": False,
        "EnableManagedSpotTraining": False,
        **params,
        "ResourceConfig": resources,
        "StoppingCondition": {"MaxRuntimeInSeconds": 86400, **params.get("StoppingCondition", {})},
        "AlgorithmSpecification": params.get("AlgorithmSpecification", {}),
    }


def _described(params: Mapping[str, Any], arn: str, now: float) -> dict[str, Any]:
    described = {
        "TrainingJobName": params["TrainingJobName"],
        "TrainingJobArn": arn,
        **{name: params[name] for name in _DESCRIBED if name in params},
        "CreationTime": now,
        "SecondaryStatusTransitions": [],
    }
    enter(described, "Starting", "Starting the training job", now, "InProgress")
    return described


def _existing(region: Region, params: Mapping[str, Any]) -> Record:
    found = region.find(KIND, params["TrainingJobName"])
    if found is None:
        raise invalid("Requested resource not found.")
    return found


def _check_name(region: Region, name: str, arn: str) -> None:
    if region.find(KIND, name) is not None:
        raise ServiceError(
            "ResourceInUse", f"Training job names must be unique within an AWS account and region: {arn}"
        )


def _conflict(status: str) -> ServiceError:
    return invalid(f"The request was rejected because the training job is in status {status}.")


def _copied(record: Record) -> list[dict[str, Any]]:
    return [dict(one) for one in record.described["SecondaryStatusTransitions"]]


def _tags(region: Region, record: Record) -> list[dict[str, str]]:
    tags = region.tags(region.arn(KIND, record.name)) or {}
    return [{"Key": key, "Value": value} for key, value in tags.items()]
