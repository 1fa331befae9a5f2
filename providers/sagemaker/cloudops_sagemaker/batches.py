"""Batches: a model and a transform job of SageMaker for each."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cloudops.errors import Conflict, NotFound
from cloudops.provider import Plan
from cloudops.refs import Listed, LogLine, Phase, Status

from . import artifacts, names, staging
from .batch_request import (
    PreparedBatch,
    batch_phase,
    batch_status,
    lineage_document,
    prepare,
    shown,
    transform_name,
)
from .errors import is_kind
from .logs import BATCHES, Logs
from .names import Place
from .predicting import reason
from .statuses import seconds
from .storage import Storage

if TYPE_CHECKING:
    from cloudops.provider import BatchRequest
    from cloudops.refs import Ref

    from .client import Client
    from .jobs import Where

#: Seconds within which a batch that is told to stop has ended.
_ENDING = 600.0
#: What the service puts before the model's answer in a batch's log.
_SAID = re.compile(r"Message: (?P<text>.+)", re.DOTALL)
#: What the service says of a container that does not begin to answer, whatever the reason.
_NO_ANSWER = "health check"
#: The last line of a traceback, or of pip, in the log of a container that has none of our hooks or ended before them.
_ERROR = re.compile(r"(?:[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)\b|ERROR:).*")
#: How many of the last lines of such a log are looked at.
_LINES = 200


class Batches:
    """The batches of an account and region; each has its model's name, and exists as long as that."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._storage = Storage(client)
        self._logs = Logs(client)

    # Creating

    def plan(self, request: BatchRequest, where: Where) -> Plan:
        """What :meth:`start` would create."""
        prepared = prepare(request, where)
        creates = [f"transform job {request.name} with its model in {self._client.scope}"]
        if not self._storage.has_bucket(self._client.bucket):
            creates.append(f"bucket {self._client.bucket}, which `cloudops down` does not delete")
        if request.secrets:
            creates.append(f"secret {names.secret_name('jobs', request.name)}, deleted with the job")
        return Plan(creates, shown(request, prepared), notes=prepared.notes, cost=prepared.cost)

    def start(self, request: BatchRequest, where: Where) -> None:
        """Create what is not there yet: what the rows and the model need, the model, the transform job."""
        prepared = prepare(request, where)
        created = self._created(request.name)
        if created is None:
            self._stage(request, prepared, where)
            created = self._create_model(request, prepared, where)
        job = transform_name(request.name, created)
        if self._described_transform(job) is None:
            self._create_transform(job, prepared.transform)

    def _stage(self, request: BatchRequest, prepared: PreparedBatch, where: Where) -> None:
        self._storage.ensure(self._client.bucket)
        folder = where.layout.job(request.name)
        self._storage.put(folder / "lineage.json", lineage_document(request))
        staging.stage_input(self._client, self._storage, request.data, where.layout, ("batch", "data"))
        artifacts.build(self._client, self._storage, request, prepared.requirements, folder / "model.tar.gz")
        if request.secrets:
            from .secrets import put

            put(self._client, names.secret_name("jobs", request.name), request.secrets, request.lineage.project)

    def _create_model(self, request: BatchRequest, prepared: PreparedBatch, where: Where) -> float:
        artifact = (where.layout.job(request.name) / "model.tar.gz").uri
        container = {**prepared.model["PrimaryContainer"], "ModelDataUrl": artifact}
        try:
            self._client.sagemaker.create_model(**{**prepared.model, "PrimaryContainer": container})
        except Exception as error:
            # Another client, or our own call whose answer was lost, has created it.
            if self._created(request.name) is None or not is_kind(error, Conflict):
                raise
        created = self._created(request.name)
        if created is None:
            raise Conflict(f"{request.name} was deleted while it was created", provider="sagemaker")
        return created

    def _create_transform(self, job: str, native: Mapping[str, Any]) -> None:
        try:
            self._client.sagemaker.create_transform_job(TransformJobName=job, **native)
        except Exception as error:
            if not is_kind(error, Conflict) or self._described_transform(job) is None:
                raise

    # Looking

    def exists(self, name: str) -> bool:
        """Whether there is such a batch, and it was begun."""
        return self._described(name) is not None

    def made(self, name: str) -> bool:
        """Whether there is such a batch, begun or not."""
        return self._created(name) is not None

    def attempts(self, name: str) -> dict[int, str]:
        """The batches of one intent by the number of the try."""
        pattern = names.tries(name)
        begun = {item["TransformJobName"] for item in self._transforms(name)}
        return {
            int(match[1] or 1): model
            for model, created in self._models(name)
            if (match := pattern.fullmatch(model)) and transform_name(model, created) in begun
        }

    def status(self, ref: Ref) -> Status:
        """Where a batch stands; why the model refused its rows is in its log only."""
        described = self._existing(ref)
        status = batch_status(described)
        return batch_status(described, self._said(described)) if status.phase is Phase.FAILED else status

    def _said(self, described: Mapping[str, Any]) -> str:
        """The model's reason, where the log tells one."""
        prefix = f"{described['TransformJobName']}/"
        for line in reversed(list(self._logs.find(BATCHES, prefix, "Message:"))):
            if match := _SAID.search(line.text):
                return reason(match["text"])
        return self._unloaded(prefix) if _NO_ANSWER in str(described.get("FailureReason", "")) else ""

    def _unloaded(self, prefix: str) -> str:
        """Why the containers never answered, by what they printed at the end."""
        told = self._logs.unloaded(BATCHES, prefix)
        if not told:
            errors = [line.text for line in self._logs.tail(BATCHES, prefix, _LINES) if _ERROR.fullmatch(line.text)]
            told = errors[-1] if errors else ""
        return f"the model could not be loaded: {reason(told)}" if told else ""

    def logs(self, ref: Ref, *, follow: bool, tail: int | None) -> Iterator[LogLine]:
        """What the containers printed, and what the service says of each object."""
        prefix = f"{self._existing(ref)['TransformJobName']}/"
        if follow:
            yield from self._logs.follow(BATCHES, prefix, lambda: self._over(ref.id), tail)
        elif tail is not None:
            yield from self._logs.tail(BATCHES, prefix, tail)
        else:
            yield from self._logs.read(BATCHES, prefix)

    def _over(self, name: str) -> bool:
        described = self._described(name)
        return described is None or batch_status(described).phase.final

    def outputs(self, ref: Ref) -> dict[str, str]:
        """The folder with the predictions."""
        described = self._existing(ref)
        return {"predictions": described["TransformOutput"]["S3OutputPath"].rstrip("/") + "/"}

    def listed(self, project: str | None) -> Iterator[Listed]:
        """The batches in this scope, newest first; one that was not begun is listed as failed, to be deleted."""
        pattern = names.batch_pattern(project)
        part = f"{project}-batch-" if project else "-batch-"
        transforms = {item["TransformJobName"]: item for item in self._transforms(part)}
        for model, created in self._models(part):
            match = pattern.fullmatch(model)
            if match is not None:
                item = transforms.get(transform_name(model, created))
                phase = batch_phase(item["TransformJobStatus"]) if item else Phase.FAILED
                yield Listed(self._client.ref("jobs", model), phase, created, match[1], "batch")

    # Ending

    def cancel(self, ref: Ref) -> None:
        """Ask it to stop; silent when it has ended."""
        described = self._existing(ref)
        if not batch_status(described).phase.final:
            self._stop(described["TransformJobName"])

    def _stop(self, job: str) -> None:
        try:
            self._client.sagemaker.stop_transform_job(TransformJobName=job)
        except Exception as error:
            if not is_kind(error, Conflict, NotFound):  # it has ended meanwhile
                raise

    def delete(self, ref: Ref) -> None:
        """Stop it, and delete all but the record of the transform job, which SageMaker keeps; the model goes last."""
        from .secrets import delete

        model = self._described_model(ref.id)
        if model is None:
            return
        job = transform_name(ref.id, _moment(model["CreationTime"]))
        self._end(ref, job)
        if "CLOUDOPS_SECRET" in model["PrimaryContainer"].get("Environment", {}):
            delete(self._client, model["PrimaryContainer"]["Environment"]["CLOUDOPS_SECRET"])
        self._storage.delete_all(Place.parse(model["PrimaryContainer"]["ModelDataUrl"].rpartition("/")[0]))
        self._logs.delete_streams(BATCHES, f"{job}/")
        try:
            self._client.sagemaker.delete_model(ModelName=ref.id)
        except Exception as error:
            if not is_kind(error, NotFound):
                raise

    def _end(self, ref: Ref, job: str) -> None:
        deadline, wait, stopped = time.monotonic() + _ENDING, 0.1, False
        while (described := self._described_transform(job)) and not batch_status(described).phase.final:
            if not stopped:
                self._stop(job)
                stopped = True
            if time.monotonic() > deadline:
                text = f"{ref.id} does not end: it is {described['TransformJobStatus']} after {_ENDING:g} s"
                raise Conflict(text, provider="sagemaker", ref=ref, hint="delete it again")
            time.sleep(wait)
            wait = min(5.0, wait * 1.5)

    # The service

    def _existing(self, ref: Ref) -> dict[str, Any]:
        described = self._described(ref.id)
        if described is None:
            from .trainer import absent

            raise absent(ref, "batch")
        return described

    def _described(self, name: str) -> dict[str, Any] | None:
        created = self._created(name)
        return None if created is None else self._described_transform(transform_name(name, created))

    def _created(self, name: str) -> float | None:
        model = self._described_model(name)
        return None if model is None else _moment(model["CreationTime"])

    def _described_model(self, name: str) -> dict[str, Any] | None:
        return self._or_none(lambda: self._client.sagemaker.describe_model(ModelName=name))

    def _described_transform(self, job: str) -> dict[str, Any] | None:
        return self._or_none(lambda: self._client.sagemaker.describe_transform_job(TransformJobName=job))

    @staticmethod
    def _or_none(call: Any) -> dict[str, Any] | None:
        try:
            return dict(call())
        except Exception as error:
            if is_kind(error, NotFound):
                return None
            raise

    def _models(self, part: str) -> Iterator[tuple[str, float]]:
        pages = self._client.sagemaker.get_paginator("list_models").paginate(
            NameContains=part, SortBy="CreationTime", SortOrder="Descending", PaginationConfig={"PageSize": 100}
        )
        for page in pages:
            for item in page["Models"]:
                yield item["ModelName"], _moment(item["CreationTime"])

    def _transforms(self, part: str) -> Iterator[dict[str, Any]]:
        pages = self._client.sagemaker.get_paginator("list_transform_jobs").paginate(
            NameContains=part, PaginationConfig={"PageSize": 100}
        )
        for page in pages:
            yield from page["TransformJobSummaries"]


def _moment(value: Any) -> float:
    return seconds(value) or 0.0
