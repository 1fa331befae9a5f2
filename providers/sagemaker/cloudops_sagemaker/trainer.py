"""Jobs: training jobs of SageMaker."""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cloudops.errors import Conflict, NotFound, Throttled, Unavailable
from cloudops.provider import BatchRequest, JobRequest, ModelInfo, Plan, Trainer
from cloudops.refs import Listed, LogLine, MetricPoint, Phase, Ref, Status

from . import logs, names
from .batch_request import is_batch
from .batches import Batches
from .errors import code_of, is_kind, translated
from .jobs import Prepared, Where, prepare, shown
from .leftovers import Leftovers
from .logs import Logs
from .names import Layout, Place
from .statuses import job_phase, job_status, restarts, seconds
from .storage import Storage

if TYPE_CHECKING:
    from .client import Client

#: Seconds within which a job that is told to stop has ended, and seconds between two looks.
_ENDING, _LOOK = 600.0, 1.0
#: The size in bytes below which an archive is looked into: does it hold a file at all?
_SMALL = 2048


class SageMakerTrainer(Trainer):
    """See :class:`cloudops.provider.Trainer`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._storage = Storage(client)
        self._logs = Logs(client)
        self._batches = Batches(client)
        self._leftovers = Leftovers(client)

    # Creating

    def plan(self, request: JobRequest) -> Plan:
        """See :class:`cloudops.provider.Trainer`."""
        from .runtime import runtime_name

        with translated("plan", request.name):
            where = self._where(request.lineage.project)
            prepared = prepare(request, where, runtime_name())
            creates = [f"training job {request.name} in {self._client.scope}"]
            bucket = self._client.bucket
            if not self._storage.has_bucket(bucket):
                creates.append(f"bucket {bucket}, which `cloudops down` does not delete")
            if request.secrets:
                creates.append(f"secret {names.secret_name('jobs', request.name)}, deleted with the job")
        return Plan(creates, shown(request, prepared), notes=prepared.notes, cost=prepared.cost)

    def plan_batch(self, request: BatchRequest) -> Plan:
        """See :class:`cloudops.provider.Trainer`."""
        with translated("plan", request.name):
            return self._batches.plan(request, self._where(request.lineage.project))

    def batch(self, request: BatchRequest) -> Ref:
        """See :class:`cloudops.provider.Trainer`."""
        ref = self._client.ref("jobs", request.name)
        with translated("submit", ref):
            self._batches.start(request, self._where(request.lineage.project))
        return ref

    def submit(self, request: JobRequest) -> Ref:
        """See :class:`cloudops.provider.Trainer`."""
        from .runtime import runtime_name
        from .staging import stage

        ref = self._client.ref("jobs", request.name)
        with translated("submit", ref):
            where = self._where(request.lineage.project)
            prepared = prepare(request, where, runtime_name())
            self._storage.ensure(self._client.bucket)
            stage(self._client, self._storage, request, prepared, where.layout)
            self._create(request, prepared)
        return ref

    def _create(self, request: JobRequest, prepared: Prepared) -> None:
        if request.secrets:
            self._put_secret(request)
        try:
            self._client.sagemaker.create_training_job(**prepared.native)
        except Exception as error:
            # Another client, or our own call whose answer was lost, has created it.
            if is_kind(error, Conflict) and self._described(request.name) is not None:
                return
            if code_of(error) and not is_kind(error, Conflict, Throttled, Unavailable):  # it was refused for good
                with suppress(Exception):
                    self._leftovers.remove_job(request.name)
            raise

    def _put_secret(self, request: JobRequest) -> None:
        from .secrets import put

        put(self._client, names.secret_name("jobs", request.name), request.secrets, request.lineage.project)

    def _where(self, project: str) -> Where:
        settings = self._client.settings
        layout = Layout.of(self._client.bucket, settings.prefix, project)
        return Where(self._client.region, self._client.role, layout, settings)

    # Looking

    def find(self, name: str) -> Ref | None:
        """See :class:`cloudops.provider.Trainer`."""
        ref = self._client.ref("jobs", name)
        with translated("find", ref):
            there = self._batches.exists(name) if is_batch(name) else self._described(name) is not None
            return ref if there else None

    def attempts(self, name: str) -> Mapping[int, Ref]:
        """From one listing: the job of any try may have been deleted."""
        pattern = names.tries(name)
        with translated("find", name):
            if is_batch(name):
                tries = self._batches.attempts(name)
                return {number: self._client.ref("jobs", tries[number]) for number in sorted(tries)}
            found = {
                int(match[1] or 1): self._client.ref("jobs", item["TrainingJobName"])
                for item in self._summaries(name)
                if (match := pattern.fullmatch(item["TrainingJobName"]))
            }
        return dict(sorted(found.items()))

    def status(self, ref: Ref) -> Status:
        """See :class:`cloudops.provider.Trainer`."""
        with translated("status", ref):
            if is_batch(ref.id):
                return self._batches.status(ref)
            described = self._existing(ref)
            return job_status(described, attempt=self._attempt(ref, described))

    def _attempt(self, ref: Ref, described: Mapping[str, Any]) -> int | None:
        if described.get("TrainingStartTime") is None:
            return None
        attempt = 1 + restarts(described)
        if "CLOUDOPS_RETRIES" in described.get("Environment", {}):
            attempt += sum(1 for _ in self._logs.find(logs.JOBS, f"{ref.id}/", "[cloudops] attempt"))
        return attempt

    def logs(self, ref: Ref, *, follow: bool = False, tail: int | None = None) -> Iterator[LogLine]:
        """See :class:`cloudops.provider.Trainer`."""
        with translated("logs", ref):
            if is_batch(ref.id):
                yield from self._batches.logs(ref, follow=follow, tail=tail)
                return
            self._existing(ref)
            prefix = f"{ref.id}/"
            if follow:
                yield from self._logs.follow(logs.JOBS, prefix, lambda: self._over(ref.id), tail)
            elif tail is not None:
                yield from self._logs.tail(logs.JOBS, prefix, tail)
            else:
                yield from self._logs.read(logs.JOBS, prefix)

    def _over(self, name: str) -> bool:
        described = self._described(name)
        return described is None or job_status(described).phase.final

    def metrics(self, ref: Ref) -> list[MetricPoint]:
        """See :class:`cloudops.provider.Trainer`."""
        with translated("metrics", ref):
            if is_batch(ref.id):
                self._batches.status(ref)
                return []
            self._existing(ref)
            return self._points(ref.id)

    def _points(self, name: str) -> list[MetricPoint]:
        from cloudops.runtime.metrics import parse_line

        found = []
        for line in self._logs.find(logs.JOBS, f"{name}/", "[cloudops] metric"):
            metric = parse_line(line.text)
            if metric is not None:
                labels = {"rank": str(metric.rank)} if metric.rank else {}
                found.append(MetricPoint(metric.name, metric.value, time=line.time, step=metric.step, labels=labels))
        return found

    def usage(self, ref: Ref) -> list[MetricPoint]:
        """See :class:`cloudops.provider.Trainer`."""
        from . import usage

        with translated("usage", ref):
            if is_batch(ref.id):
                return []
            described = self._existing(ref)
            since = seconds(described.get("TrainingStartTime"))
            resources = described["ResourceConfig"]
            users = [
                usage.User({"Host": f"{ref.id}/algo-{rank + 1}"}, resources["InstanceType"], {"rank": str(rank)})
                for rank in range(resources["InstanceCount"] if since else 0)
            ]
            until = seconds(described.get("TrainingEndTime")) or time.time()
            return usage.points(self._client, usage.JOBS, users, since or 0.0, max(until, time.time()))

    def outputs(self, ref: Ref) -> Mapping[str, str]:
        """See :class:`cloudops.provider.Trainer`."""
        with translated("outputs", ref):
            if is_batch(ref.id):
                return self._batches.outputs(ref)
            described = self._existing(ref)
            if described["OutputDataConfig"].get("CompressionType") != "NONE":
                return {}
            artifacts = _folder(described) / "output"
            # How the folder with /opt/ml/output/data is called is written down nowhere.
            places = [artifacts / name / "outputs" for name in self._storage.prefixes(artifacts) if name != "model"]
            return {name: (place / name).uri + "/" for place in places for name in self._storage.prefixes(place)}

    def jobs(self, project: str | None = None) -> Iterator[Listed]:
        """See :class:`cloudops.provider.Trainer`."""
        with translated("list jobs"):
            merged = heapq.merge(
                self._training_jobs(project),
                self._batches.listed(project),
                key=lambda item: item.created or 0.0,
                reverse=True,
            )
            listed = set()
            for item in merged:
                listed.add(item.ref.id)
                yield item
            if project is not None:  # asked one by one only for what the listings do not have
                yield from self._leftovers.jobs(project, lambda name: name in listed or self._there(name))

    def _there(self, name: str) -> bool:
        return self._batches.made(name) if is_batch(name) else self._described(name) is not None

    def _training_jobs(self, project: str | None) -> Iterator[Listed]:
        pattern = names.job_pattern(project)
        for item in self._summaries(project or ""):
            match = pattern.fullmatch(item["TrainingJobName"])
            if match is not None:
                phase = job_phase(item["TrainingJobStatus"], item.get("SecondaryStatus", ""))
                ref = self._client.ref("jobs", item["TrainingJobName"])
                yield Listed(ref, phase, seconds(item["CreationTime"]), match[1], match[2])

    def model(self, ref: Ref) -> ModelInfo:
        """See :class:`cloudops.provider.Trainer`."""
        with translated("model", ref):
            if is_batch(ref.id):
                raise absent(ref, "model of")
            described = self._existing(ref)
            phase = job_status(described).phase
            why = f"it is {phase}"
            if phase is Phase.SUCCEEDED:
                found = self._model(ref.id, described)
                if found is not None:
                    return found
                why = "it wrote no file to it"
            hint = "a training script writes its model to the folder in CLOUDOPS_MODEL_DIR"
            raise NotFound(f"the job {ref.id} has no model: {why}", provider="sagemaker", ref=ref, hint=hint)

    def _model(self, name: str, described: Mapping[str, Any]) -> ModelInfo | None:
        location = described.get("ModelArtifacts", {}).get("S3ModelArtifacts", "")
        if not location or not self._holds_files(location):
            return None
        lineage = json.loads(self._storage.get(_folder(described) / "lineage.json") or b"{}")
        requirements = lineage.pop("requirements", None)
        metrics = {point.name: point.value for point in self._points(name)}
        ref, ended = self._client.ref("models", name), seconds(described.get("TrainingEndTime"))
        location = location if location.endswith(".tar.gz") else f"{location.rstrip('/')}/"
        return ModelInfo(ref, location, lineage, metrics, ended, requirements)

    def _holds_files(self, location: str) -> bool:
        from .archives import holds_files

        place = Place.parse(location)
        if not location.endswith(".tar.gz"):
            return any(size >= 0 for _, size in self._storage.sizes(place))
        size = self._storage.size(place)
        return size is not None and (size >= _SMALL or holds_files(self._storage.get(place) or b""))

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
            if is_batch(ref.id):
                self._batches.cancel(ref)
            elif not job_status(self._existing(ref)).phase.final:
                self._stop(ref.id)

    def _stop(self, name: str) -> None:
        try:
            self._client.sagemaker.stop_training_job(TrainingJobName=name)
        except Exception as error:
            if not is_kind(error, Conflict, NotFound):  # it has ended meanwhile
                raise

    def delete(self, ref: Ref) -> None:
        """See :class:`cloudops.provider.Trainer`."""
        with translated("delete", ref):
            if not self._there(ref.id):
                self._leftovers.remove_job(ref.id)
                return
            if is_batch(ref.id):
                self._batches.delete(ref)
                return
            described = self._ended(ref, self._described(ref.id))
            if described is None:
                return
            if "CLOUDOPS_SECRET" in described.get("Environment", {}):
                from .secrets import delete

                delete(self._client, described["Environment"]["CLOUDOPS_SECRET"])
            self._delete_artifacts(ref.id, described)
            self._logs.delete_streams(logs.JOBS, f"{ref.id}/")
            if described.get("WarmPoolStatus", {}).get("Status") == "Available":
                self._end_pool(ref.id)
            try:
                self._client.sagemaker.delete_training_job(TrainingJobName=ref.id)
            except Exception as error:
                if not is_kind(error, NotFound) and self._described(ref.id) is not None:
                    raise

    def _end_pool(self, name: str) -> None:
        """Give back the machines that a job has left for a next one: a job that keeps some cannot be deleted."""
        try:
            self._client.sagemaker.update_training_job(
                TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": 0}
            )
        except Exception:
            described = self._described(name)
            # A job or the end of its time has taken the pool meanwhile: there is nothing to give back.
            if described and described.get("WarmPoolStatus", {}).get("Status") == "Available":
                raise

    def _ended(self, ref: Ref, described: dict[str, Any] | None) -> dict[str, Any] | None:
        """Stop a job and wait until it has ended; None when another client deleted it meanwhile."""
        deadline = time.monotonic() + _ENDING
        stopped, wait = False, 0.1
        while described is not None and not job_status(described).phase.final:
            if not stopped:
                self._stop(ref.id)
                stopped = True
            if time.monotonic() > deadline:
                text = f"{ref.id} does not end: it is {described['TrainingJobStatus']} after {_ENDING:g} s"
                raise Conflict(text, provider="sagemaker", ref=ref, hint="delete it again")
            time.sleep(wait)
            wait = min(_LOOK * 5, wait * 1.5)
            described = self._described(ref.id)
        return described

    def _delete_artifacts(self, name: str, described: Mapping[str, Any]) -> None:
        checkpoints = described.get("CheckpointConfig", {}).get("S3Uri")
        if checkpoints and not self._shared(checkpoints, name):
            self._storage.delete_all(Place.parse(checkpoints))
        self._storage.delete_all(_folder(described))

    def _shared(self, checkpoints: str, name: str) -> bool:
        """Whether another try than ``name`` of the intent that named the checkpoints has them too."""
        base = checkpoints.rstrip("/").rpartition("/")[2]
        for ref in self.attempts(base).values():
            other = self._described(ref.id) if ref.id != name else None
            if other is not None and other.get("CheckpointConfig", {}).get("S3Uri") == checkpoints:
                return True
        return False

    # The service

    def _summaries(self, part: str) -> Iterator[dict[str, Any]]:
        given = {"NameContains": part} if part else {}
        pages = self._client.sagemaker.get_paginator("list_training_jobs").paginate(
            SortBy="CreationTime", SortOrder="Descending", PaginationConfig={"PageSize": 100}, **given
        )
        for page in pages:
            yield from page["TrainingJobSummaries"]

    def _described(self, name: str) -> dict[str, Any] | None:
        try:
            return dict(self._client.sagemaker.describe_training_job(TrainingJobName=name))
        except Exception as error:
            if is_kind(error, NotFound):
                return None
            raise

    def _existing(self, ref: Ref) -> dict[str, Any]:
        described = self._described(ref.id)
        if described is None:
            raise absent(ref, "training job")
        return described


def absent(ref: Ref, what: str) -> NotFound:
    """The error for something that never was, or was deleted."""
    text = f"SageMaker has no {what} {ref.id} in {ref.scope}"
    hint = "the credentials must be of that account; it may have been deleted"
    return NotFound(text, provider="sagemaker", ref=ref, hint=hint)


def _folder(described: Mapping[str, Any]) -> Place:
    """Where everything of a job is."""
    return Place.parse(described["OutputDataConfig"]["S3OutputPath"]) / str(described["TrainingJobName"])
