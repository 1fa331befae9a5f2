"""CustomJobs: create, get, list, cancel, delete."""

from __future__ import annotations

from typing import Any

from . import crud
from .crud import Kind
from .custom_job import CustomJob, wanted_machines
from .job_request import check_request, fill_defaults
from .methods import Call, implements
from .persistent_resources import machines
from .protocol import pool
from .protocol.errors import ServiceError, refused
from .states import JOB_ENDED, state
from .store import Record, shown

KIND = Kind(
    "CustomJob",
    "customJobs",
    missing="The CustomJob does not exist.",
    invalid="Invalid CustomJob resource name.",
)


@implements("JobService.CreateCustomJob")
def create(call: Call, request: Any) -> Any:
    """Accept a job; it is pending when this answers."""
    message = crud.prepared(call, KIND, request)
    check_request(message)
    fill_defaults(message)
    message.state = state("JOB_STATE_PENDING")
    with call.site.store.lock:
        name = crud.place(call, KIND, request.parent)
        _check_machines(call, Record(call.site.store.canonical(name), message, 0.0))
        record = call.site.store.add(name, message)
        record.live = CustomJob(call.site, record)
        answer = shown(message, call.version)
    call.site.drive(record.live.run)
    return answer


def _check_machines(call: Call, job: Record) -> None:
    """Have the persistent resource that a job names have such machines. Raises ServiceError."""
    found = machines(call.site, job)
    if found is not None and not found.fits(wanted_machines(job.message)):
        text = "The machines of the job's worker pools are not among those of the PersistentResource."
        raise refused([("custom_job.job_spec.worker_pool_specs", text)])


@implements("JobService.GetCustomJob")
def get(call: Call, request: Any) -> Any:
    """A job as it is now."""
    return crud.get(call, KIND, request)


@implements("JobService.ListCustomJobs")
def list_jobs(call: Call, request: Any) -> Any:
    """A page of jobs."""
    return crud.list_all(call, KIND, request, "custom_jobs")


@implements("JobService.CancelCustomJob")
def cancel(call: Call, request: Any) -> Any:
    """Have a job end; one that has ended is left as it is."""
    with call.site.store.lock:
        record = crud.find(call, KIND, request.name)
        if record.live is not None and record.message.state not in JOB_ENDED:
            record.live.cancel()
    return pool.message("google.protobuf.Empty")()


@implements("JobService.DeleteCustomJob")
def delete(call: Call, request: Any) -> Any:
    """Forget a job that has ended; its logs stay."""
    with call.site.store.lock:
        record = crud.find(call, KIND, request.name)
        if record.message.state not in JOB_ENDED:
            name = (
                record.message.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_number[record.message.state].name
            )
            text = f"The CustomJob {record.name} is in state {name} and cannot be deleted; cancel it first."
            raise ServiceError("FAILED_PRECONDITION", text)
        return crud.delete(call, record)
