"""Managed warm pools: the machines of a training job that has ended, kept for a next one of the same make.

Their state is in the job's record: what Describe tells in ``described``, since and until when, and where the cache lies
in ``history``. Nothing runs in a pool that waits, so it is brought up to date whenever somebody looks at it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudops.engine.folders import remove

from .instances import check_instance
from .operations import invalid

if TYPE_CHECKING:
    from .region import Record, Region

_KIND = "training-job"
#: Where the jobs of a pool, one after the other, find the same files, and the variable that tells them so.
CACHE = "sagemaker/warmpoolcache"
CACHE_VARIABLE = "SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY"
#: What two jobs must have in common besides :data:`_RESOURCES`.
_SAME = ("RoleArn", "VpcConfig", "EnableInterContainerTrafficEncryption", "EnableNetworkIsolation")
_RESOURCES = ("InstanceType", "InstanceCount", "VolumeSizeInGB", "VolumeKmsKeyId")
#: How the reasons begin of failures that are the job's own; machines on which the service failed are not kept.
_OWN_FAILURES = ("AlgorithmError", "ClientError")


def check(region: Region, params: Mapping[str, Any]) -> None:
    """Check what a request says of a pool.

    Raises:
        ServiceError: it cannot have one.
    """
    resources = params["ResourceConfig"]
    if not resources.get("KeepAlivePeriodInSeconds"):
        return
    if params.get("EnableManagedSpotTraining"):
        raise invalid("KeepAlivePeriodInSeconds is not supported for training jobs with EnableManagedSpotTraining")
    with region.lock:
        if _matching(region, params) is None:
            kind = resources["InstanceType"]
            check_instance(kind, resources["InstanceCount"], "training warm pool", _in_use(region, kind))


def join(region: Region, record: Record, params: Mapping[str, Any]) -> bool:
    """Have a new job take over a pool that suits it; whether there was one. The caller holds the region's lock."""
    found = _matching(region, params)
    if found is None and not params["ResourceConfig"].get("KeepAlivePeriodInSeconds"):
        return False
    record.described["WarmPoolStatus"] = {"Status": "InUse"}
    cache = region.folder / "warm-pools" / record.name
    if found is not None:
        cache = Path(found.history.pop()["cache"])
        _close(region, found, "Reused", ReusedByJob=record.name)
    record.history = [{"cache": str(cache)}]
    return found is not None


def cache(record: Record) -> Path | None:
    """Where the files of a job's pool lie while no job has them; None where it has no pool."""
    return Path(record.history[-1]["cache"]) if record.history else None


def kept(record: Record, status: str, reason: str) -> bool:
    """Whether a job that had machines and ends so leaves them in a pool."""
    own = status != "Failed" or reason.startswith(_OWN_FAILURES)
    return own and bool(record.history) and bool(record.described["ResourceConfig"].get("KeepAlivePeriodInSeconds"))


def leave(region: Region, record: Record, *, keep: bool) -> None:
    """A job has ended: its machines wait for another one, or are gone. The caller holds the region's lock."""
    if not record.history:
        return
    if keep:
        record.history[-1]["since"] = region.clock.now()
        record.described["WarmPoolStatus"] = {"Status": "Available"}
        refresh(region, record)
    else:
        _end(region, record)


def refresh(region: Region, record: Record) -> None:
    """Bring what Describe tells of a job's pool up to date. The caller holds the region's lock."""
    if not available(record):
        return
    past = region.clock.now() - record.history[-1]["since"]
    if past >= record.described["ResourceConfig"]["KeepAlivePeriodInSeconds"]:
        _end(region, record)
    else:
        record.described["WarmPoolStatus"]["ResourceRetainedBillableTimeInSeconds"] = round(past)


def available(record: Record) -> bool:
    """Whether the job's machines wait for another one."""
    return bool(record.described.get("WarmPoolStatus", {}).get("Status") == "Available")


def change(region: Region, record: Record, seconds: int) -> None:
    """Keep the machines so long after the job's end; 0 gives a pool that waits back at once.

    Raises:
        ServiceError: the job has no pool, or no longer.
    """
    with region.lock:
        refresh(region, record)
        state = record.described.get("WarmPoolStatus", {}).get("Status")
        if state not in ("InUse", "Available"):
            what = f"its warm pool is {state}" if state else "it has no warm pool"
            raise invalid(f"KeepAlivePeriodInSeconds of training job {record.name} cannot be updated: {what}.")
        resources = {**record.described["ResourceConfig"], "KeepAlivePeriodInSeconds": seconds}
        record.described |= {"ResourceConfig": resources, "LastModifiedTime": region.clock.now()}
        refresh(region, record)


def _end(region: Region, record: Record) -> None:
    """Give the machines back."""
    place = cache(record)
    _close(region, record, "Terminated")
    record.history.clear()
    if place is not None and place.exists():
        remove(place)


def _close(region: Region, record: Record, status: str, **members: Any) -> None:
    """Note that a pool is no longer the job's, and for how long nobody used it."""
    pool = record.described["WarmPoolStatus"]
    retained = pool.get("ResourceRetainedBillableTimeInSeconds", 0)
    record.described["WarmPoolStatus"] = {
        "Status": status,
        "ResourceRetainedBillableTimeInSeconds": retained,
        **members,
    }
    record.described["LastModifiedTime"] = region.clock.now()


def _matching(region: Region, params: Mapping[str, Any]) -> Record | None:
    """The pool that has waited longest of those that suit a request."""
    if params.get("EnableManagedSpotTraining"):
        return None
    for record in reversed(region.all(_KIND)):
        refresh(region, record)
        if available(record) and _make(record.described) == _make(params):
            return record
    return None


def _make(request: Mapping[str, Any]) -> list[Any]:
    return [request.get(name) for name in _SAME] + [request["ResourceConfig"].get(name) for name in _RESOURCES]


def _in_use(region: Region, instance: str) -> int:
    """Instances of a type that pools have, whether a job uses them or not."""
    used = 0
    for record in region.all(_KIND):
        refresh(region, record)
        resources = record.described["ResourceConfig"]
        if record.history and resources["InstanceType"] == instance:
            used += resources["InstanceCount"]
    return used
