"""BatchPredictionJobs: create, get, list, cancel, delete."""

from __future__ import annotations

from typing import Any

from . import crud
from .batch_job import BatchJob
from .batch_request import check_request
from .crud import Kind
from .methods import Call, implements
from .model_names import version
from .protocol import pool
from .protocol.errors import ServiceError
from .states import JOB_ENDED, name_of, state
from .store import shown

KIND = Kind(
    "BatchPredictionJob",
    "batchPredictionJobs",
    missing="The BatchPredictionJob does not exist.",
    invalid="Invalid BatchPredictionJob resource name.",
)


@implements("JobService.CreateBatchPredictionJob")
def create(call: Call, request: Any) -> Any:
    """Accept a job; it is pending when this answers."""
    message = crud.prepared(call, KIND, request)
    size = check_request(message)
    message.state = state("JOB_STATE_PENDING")
    with call.site.store.lock:
        model = version(call, message.model, "batch_prediction_job.model")
        message.model, message.model_version_id = model.message.name, model.message.version_id
        record = call.site.store.add(crud.place(call, KIND, request.parent), message)
        record.live = BatchJob(call.site, record, model, size)
        answer = shown(message, call.version)
    call.site.drive(record.live.run)
    return answer


@implements("JobService.GetBatchPredictionJob")
def get(call: Call, request: Any) -> Any:
    """A job as it is now."""
    return crud.get(call, KIND, request)


@implements("JobService.ListBatchPredictionJobs")
def list_jobs(call: Call, request: Any) -> Any:
    """A page of jobs."""
    return crud.list_all(call, KIND, request, "batch_prediction_jobs")


@implements("JobService.CancelBatchPredictionJob")
def cancel(call: Call, request: Any) -> Any:
    """Have a job end; one that has ended is left as it is."""
    with call.site.store.lock:
        record = crud.find(call, KIND, request.name)
        if record.live is not None and record.message.state not in JOB_ENDED:
            record.live.cancel()
    return pool.message("google.protobuf.Empty")()


@implements("JobService.DeleteBatchPredictionJob")
def delete(call: Call, request: Any) -> Any:
    """Forget a job that has ended; what it has written and its logs stay."""
    with call.site.store.lock:
        record = crud.find(call, KIND, request.name)
        if record.message.state not in JOB_ENDED:
            text = (
                f"The BatchPredictionJob {record.name} is in state {name_of(record.message.state)} and cannot be "
                "deleted; cancel it first."
            )
            raise ServiceError("FAILED_PRECONDITION", text)
        return crud.delete(call, record)
