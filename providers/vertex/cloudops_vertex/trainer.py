"""Jobs: custom jobs of Vertex AI."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cloudops.errors import NotFound, UnsupportedFeature
from cloudops.provider import BatchRequest, JobRequest, ModelInfo, Plan, Trainer
from cloudops.refs import Listed, LogLine, MetricPoint, Phase, Ref, Status

from . import jobs, names
from .claims import Claims
from .ending import Ending
from .errors import translated, was_refused
from .jobs import Prepared, Where, prepare, shown
from .leftovers import MARK, Leftovers
from .logs import Logs
from .lookup import Lookup
from .names import Layout
from .statuses import job_status, phase_of, seconds
from .storage import Storage, document

if TYPE_CHECKING:
    from .client import Client
    from .lookup import Job


class VertexTrainer(Trainer):
    """See :class:`cloudops.provider.Trainer`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._storage = Storage(client)
        self._logs = Logs(client)
        self._lookup = Lookup(client, self._storage)
        self._claims = Claims(client, self._storage)
        self._leftovers = Leftovers(client, self._storage)
        self._ending = Ending(client, self._storage, self._lookup)

    # Creating

    def plan(self, request: JobRequest) -> Plan:
        """See :class:`cloudops.provider.Trainer`."""
        with translated("plan", request.name):
            prepared = self._prepared(request)
            creates = [f"custom job {request.name} in {self._client.scope}"]
            bucket = self._client.bucket
            if not self._storage.has_bucket(bucket):
                creates.append(f"bucket {bucket}, which `cloudops down` does not delete")
            if request.secrets:
                creates.append(f"secret {names.secret_id(request.name)}, deleted with the job")
        return Plan(creates, shown(request, prepared), notes=prepared.notes, cost=prepared.cost)

    def plan_batch(self, request: BatchRequest) -> Plan:
        """Refused: see :mod:`cloudops_vertex.capabilities`."""
        raise _no_batch()

    def batch(self, request: BatchRequest) -> Ref:
        """Refused likewise."""
        raise _no_batch()

    def submit(self, request: JobRequest) -> Ref:
        """See :class:`cloudops.provider.Trainer`."""
        from .staging import stage

        ref = self._client.ref("jobs", request.name)
        with translated("submit", ref):
            prepared = self._prepared(request)
            self._storage.ensure(self._client.bucket)
            layout = self._layout(request.lineage.project)
            stage(self._client, self._storage, request, prepared, layout)
            claim = layout.claim(request.name)
            found = self._claims.once(
                claim, lambda: self._lookup.find(request.name), lambda: self._create(request, prepared)
            )
            self._lookup.remember(request.name, found)
        return ref

    def _create(self, request: JobRequest, prepared: Prepared) -> Job:
        if request.secrets:
            self._put_secret(request)
        try:
            return self._client.jobs.create(prepared.native)
        except Exception as error:
            if was_refused(error):
                with suppress(Exception):
                    self._leftovers.remove_job(request.name)
            raise

    def _put_secret(self, request: JobRequest) -> None:
        from .secrets import put

        project = request.lineage.project
        self._storage.put(self._layout(project).job(request.name) / MARK, b"")
        put(self._client, request.name, request.secrets, project)

    def _prepared(self, request: JobRequest) -> Prepared:
        from .runtime import runtime_name, stub

        layout = self._layout(request.lineage.project)
        where = Where(self._client.project, self._client.location, layout, self._client.settings)
        return prepare(request, where, runtime_name(), stub())

    def _layout(self, project: str) -> Layout:
        return Layout.of(self._client.bucket, self._client.settings.prefix, project)

    # Looking

    def find(self, name: str) -> Ref | None:
        """See :class:`cloudops.provider.Trainer`."""
        ref = self._client.ref("jobs", name)
        with translated("find", ref):
            return ref if self._lookup.find(name) is not None else None

    def attempts(self, name: str) -> Mapping[int, Ref]:
        """From one listing: the job of any try may have been deleted."""
        with translated("find", name):
            found = self._lookup.of_intent(name)
        return {number: self._client.ref("jobs", job["labels"][names.NAME]) for number, job in found.items()}

    def status(self, ref: Ref) -> Status:
        """See :class:`cloudops.provider.Trainer`."""
        with translated("status", ref):
            job = self._existing(ref)
            failure = self._left(job, "failure.json") if phase_of(job) is Phase.FAILED else None
            return job_status(job, failure=failure, attempt=self._attempt(job))

    def _attempt(self, job: Job) -> int | None:
        if job.get("startTime") is None:
            return None
        if jobs.RETRIES not in jobs.described_environment(job):
            return 1
        return int((self._left(job, "attempt.json") or {}).get("attempt", 1))

    def _left(self, job: Job, name: str) -> dict[str, Any] | None:
        """A JSON object that the container wrote, or None."""
        content = self._storage.get(jobs.folder(job) / name)
        return None if content is None else document(content)

    def logs(self, ref: Ref, *, follow: bool = False, tail: int | None = None) -> Iterator[LogLine]:
        """See :class:`cloudops.provider.Trainer`."""
        with translated("logs", ref):
            job = self._existing(ref)
            if follow:
                yield from self._logs.follow(_id(job), lambda: self._over(ref.id), _nodes(job), tail)
            elif tail is not None:
                yield from self._logs.tail(_id(job), tail)
            else:
                yield from self._logs.read(_id(job))

    def _over(self, name: str) -> bool | None:
        job = self._lookup.described(name)
        return None if job is None else phase_of(job).final

    def metrics(self, ref: Ref) -> list[MetricPoint]:
        """From the log: Vertex AI has no metrics of jobs but what its machines use."""
        with translated("metrics", ref):
            return self._points(self._existing(ref))

    def _points(self, job: Job) -> list[MetricPoint]:
        from cloudops.runtime.metrics import parse_line

        found = []
        for line in self._logs.find(_id(job), "[cloudops] metric"):
            metric = parse_line(line.text)
            if metric is not None:
                labels = {"rank": str(metric.rank)} if metric.rank else {}
                found.append(MetricPoint(metric.name, metric.value, time=line.time, step=metric.step, labels=labels))
        return found

    def usage(self, ref: Ref) -> list[MetricPoint]:
        """See :class:`cloudops.provider.Trainer`."""
        from . import usage

        with translated("usage", ref):
            return usage.points(self._client, self._existing(ref), time.time())

    def outputs(self, ref: Ref) -> Mapping[str, str]:
        """See :class:`cloudops.provider.Trainer`."""
        with translated("outputs", ref):
            place = jobs.folder(self._existing(ref)) / "outputs"
            return {name: f"{(place / name).uri}/" for name in self._storage.prefixes(place)}

    def jobs(self, project: str | None = None) -> Iterator[Listed]:
        """See :class:`cloudops.provider.Trainer`."""
        pattern, listed = names.job_pattern(project), set()
        with translated("list jobs"):
            for job in self._lookup.of_project(project):
                name = job["labels"].get(names.NAME, "")
                match = pattern.fullmatch(name)
                if match is not None and name not in listed:
                    listed.add(name)
                    ref = self._client.ref("jobs", name)
                    yield Listed(ref, phase_of(job), seconds(job.get("createTime")), match[1], match[2])
            if project is not None:  # asked one by one only for what the listing does not have
                yield from self._leftovers.jobs(project, lambda name: name in listed or self._there(name))

    def _there(self, name: str) -> bool:
        return self._lookup.described(name) is not None

    def model(self, ref: Ref) -> ModelInfo:
        """See :class:`cloudops.provider.Trainer`."""
        with translated("model", ref):
            job = self._existing(ref)
            phase = phase_of(job)
            why = f"it is {phase}"
            if phase is Phase.SUCCEEDED:
                place = jobs.folder(job) / "model"
                if self._storage.holds(place):
                    return self._model(ref.id, job, f"{place.uri}/")
                why = "it wrote no file to it"
            hint = "a training script writes its model to the folder in CLOUDOPS_MODEL_DIR"
            raise NotFound(f"the job {ref.id} has no model: {why}", provider="vertex", ref=ref, hint=hint)

    def _model(self, name: str, job: Job, location: str) -> ModelInfo:
        lineage = self._left(job, "lineage.json") or {}
        requirements = lineage.pop("requirements", None)
        metrics = {point.name: point.value for point in self._points(job)}
        return ModelInfo(
            self._client.ref("models", name), location, lineage, metrics, seconds(job.get("endTime")), requirements
        )

    def models(self, project: str | None = None) -> Iterator[ModelInfo]:
        """See :class:`cloudops.provider.Trainer`."""
        for item in self.jobs(project):
            if item.step == "train" and item.phase is Phase.SUCCEEDED:
                try:
                    yield self.model(self._client.ref("models", item.ref.id))
                except NotFound:
                    continue

    # Ending

    def cancel(self, ref: Ref) -> None:
        """See :class:`cloudops.provider.Trainer`."""
        with translated("cancel", ref):
            self._ending.stop(self._existing(ref))

    def delete(self, ref: Ref) -> None:
        """See :class:`cloudops.provider.Trainer`. Cloud Logging deletes no lines of one job: those stay their time."""
        with translated("delete", ref):
            self._ending.delete(ref)

    def _existing(self, ref: Ref) -> Job:
        job = self._lookup.described(ref.id)
        if job is None:
            text = f"Vertex AI has no custom job {ref.id} in {ref.scope}"
            hint = "the credentials must be of that project; it may have been deleted"
            raise NotFound(text, provider="vertex", ref=ref, hint=hint)
        return job


def _id(job: Job) -> str:
    """The id that the service gave a job."""
    return str(job["name"]).rpartition("/")[2]


def _nodes(job: Job) -> int:
    return sum(int(pool.get("replicaCount", 1)) for pool in job["jobSpec"]["workerPoolSpecs"])


def _no_batch() -> UnsupportedFeature:
    from cloudops.provider import Capability

    from .capabilities import capabilities

    support = capabilities()[Capability.BATCH]
    return UnsupportedFeature(support.reason, provider="vertex", hint=support.hint)
