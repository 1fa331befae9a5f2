"""The three roles on this machine."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cloudops.errors import NotFound, ProviderError
from cloudops.provider import (
    Answer,
    BatchRequest,
    Capability,
    Captured,
    CheckResult,
    Deployer,
    DeployRequest,
    JobRequest,
    ModelInfo,
    Monitor,
    Plan,
    Provider,
    ProviderContext,
    Request,
    Support,
    Trainer,
)
from cloudops.refs import Listed, LogLine, MetricPoint, Phase, Ref, Status

from .client import LocalClient
from .errors import translated

_COST = "no charge: this machine"


def create(context: ProviderContext) -> LocalProvider:
    """The local provider for the project folder that the context, or the URI that it came from, names."""
    root = context.root if context.scope is None else Path("/" + context.scope)
    return LocalProvider(LocalClient(root, context.settings))


class LocalProvider(Provider):
    """Jobs and endpoints as processes of this machine."""

    def __init__(self, client: LocalClient) -> None:
        from .plugin import cloudops_provider

        super().__init__(cloudops_provider())
        self._trainer = LocalTrainer(client)
        self._deployer = LocalDeployer(client)
        self._monitor = LocalMonitor(client)
        self._client = client

    @property
    def trainer(self) -> LocalTrainer:
        """Jobs."""
        return self._trainer

    @property
    def deployer(self) -> LocalDeployer:
        """Endpoints."""
        return self._deployer

    @property
    def monitor(self) -> LocalMonitor:
        """Metrics and captured requests."""
        return self._monitor

    def capabilities(self) -> Mapping[Capability, Support]:
        """See :mod:`cloudops_local.capabilities`."""
        from .capabilities import capabilities

        return capabilities()

    def check(self, requests: Iterable[Request] = ()) -> list[CheckResult]:
        """The interpreter, the machine, the disk and the index."""
        from . import machine

        root = self._client.layout.root
        free = shutil.disk_usage(root).free / (1 << 30)
        results = [
            CheckResult("python", True, f"{sys.version.split()[0]} at {sys.executable}"),
            CheckResult("machine", True, f"{machine.cpus()} CPUs, {machine.memory() / (1 << 30):.0f} GB of memory"),
            CheckResult("disk", free > 1, f"{free:.0f} GB free in {root}", "free some disk space"),
        ]
        try:
            jobs = len(list(self._client.index.list("jobs", None)))
            results.append(CheckResult("state", True, f"{jobs} jobs in {self._client.layout.base}"))
        except ProviderError as error:
            results.append(CheckResult("state", False, error.message, error.hint or ""))
        return results


class LocalTrainer(Trainer):
    """Jobs as supervised process trees."""

    def __init__(self, client: LocalClient) -> None:
        self._client = client

    def plan(self, request: JobRequest) -> Plan:
        """See :class:`cloudops.provider.Trainer`."""
        with translated("plan"):
            return self._planned(request, asdict(self._client.job_spec(request)))

    def plan_batch(self, request: BatchRequest) -> Plan:
        """See :class:`cloudops.provider.Trainer`."""
        with translated("plan"):
            return self._planned(request, asdict(self._client.batch_spec(request)))

    def _planned(self, request: JobRequest | BatchRequest, native: dict[str, Any]) -> Plan:
        folder = self._client.layout.job(request.name).path
        creates = [f"job {request.name} in {folder}"]
        if any("cloudops.engine.environments" in word for command in native["setup"] for word in command):
            creates.append("an isolated environment with the step's requirements, cached by their content")
        native["secrets"] = dict.fromkeys(request.secrets, "***")
        return Plan(creates, native, cost=_COST)

    def submit(self, request: JobRequest) -> Ref:
        """See :class:`cloudops.provider.Trainer`."""
        ref = self._client.ref("jobs", request.name)
        with translated("submit", ref):
            self._client.start_job(request)
        return ref

    def batch(self, request: BatchRequest) -> Ref:
        """See :class:`cloudops.provider.Trainer`."""
        ref = self._client.ref("jobs", request.name)
        with translated("submit", ref):
            self._client.start_batch(request)
        return ref

    def find(self, name: str) -> Ref | None:
        """See :class:`cloudops.provider.Trainer`."""
        return self._client.ref("jobs", name) if self._client.has_job(name) else None

    def attempts(self, name: str) -> Mapping[int, Ref]:
        """From the index: the job of any try may have been deleted."""
        return {number: self._client.ref("jobs", job) for number, job in self._client.attempts(name)}

    def status(self, ref: Ref) -> Status:
        """See :class:`cloudops.provider.Trainer`."""
        from dataclasses import replace

        from .mapping import job_status

        with translated("status", ref):
            return replace(job_status(self._client.job_state(ref)), created=self._client.item(ref).created)

    def logs(self, ref: Ref, *, follow: bool = False, tail: int | None = None) -> Iterator[LogLine]:
        """See :class:`cloudops.provider.Trainer`."""
        with translated("logs", ref):
            return _until_deleted(ref, self._client.job_logs(ref, follow, tail))

    def metrics(self, ref: Ref) -> list[MetricPoint]:
        """See :class:`cloudops.provider.Trainer`."""
        from .mapping import metric_points

        with translated("metrics", ref):
            return metric_points(self._client.job_metrics(ref))

    def outputs(self, ref: Ref) -> Mapping[str, str]:
        """See :class:`cloudops.provider.Trainer`."""
        folder = self._client.job_folder(ref).path / "outputs"
        return {path.name: str(path) for path in sorted(folder.iterdir())} if folder.is_dir() else {}

    def cancel(self, ref: Ref) -> None:
        """See :class:`cloudops.provider.Trainer`."""
        with translated("cancel", ref):
            self._client.cancel_job(ref)

    def delete(self, ref: Ref) -> None:
        """See :class:`cloudops.provider.Trainer`."""
        with translated("delete", ref):
            self._client.delete_job(ref)

    def jobs(self, project: str | None = None) -> Iterator[Listed]:
        """See :class:`cloudops.provider.Trainer`."""
        for item in self._client.index.list("jobs", project):
            ref = self._client.ref("jobs", item.name)
            # A client that was killed while it submitted leaves a row without a job: listed, so that it can be deleted.
            phase = self.status(ref).phase if self._client.has_job(item.name) else Phase.FAILED
            yield Listed(ref, phase, item.created, item.project, item.step)

    def model(self, ref: Ref) -> ModelInfo:
        """See :class:`cloudops.provider.Trainer`."""
        item = self._client.item(ref)
        status = self.status(self._client.ref("jobs", item.name))
        folder = self._client.layout.job(item.name)
        if status.phase is not Phase.SUCCEEDED or not any(folder.model.iterdir()):
            why = f"it is {status.phase}" if status.phase is not Phase.SUCCEEDED else "it wrote no file to it"
            raise NotFound(
                f"the job {item.name} has no model: {why}",
                provider="local",
                ref=ref,
                hint="a training script writes its model to the folder in CLOUDOPS_MODEL_DIR",
            )
        lineage = self._client.lineage(item.name)
        requirements = lineage.pop("requirements", None)
        metrics = {point.name: point.value for point in self.metrics(self._client.ref("jobs", item.name))}
        model = self._client.ref("models", item.name)
        return ModelInfo(model, str(folder.model), lineage, metrics, status.ended, requirements)

    def models(self, project: str | None = None) -> Iterator[ModelInfo]:
        """See :class:`cloudops.provider.Trainer`."""
        for item in self._client.index.list("jobs", project):
            if item.step == "train" and self._client.has_job(item.name):
                try:
                    yield self.model(self._client.ref("models", item.name))
                except NotFound:
                    continue


class LocalDeployer(Deployer):
    """Endpoints as a router and replicas on the loopback interface."""

    def __init__(self, client: LocalClient) -> None:
        self._client = client

    def plan(self, request: DeployRequest) -> Plan:
        """See :class:`cloudops.provider.Deployer`."""
        with translated("plan"):
            self._client.own(request)
            self._client.check_port(request)
            native = asdict(self._client.version_spec(request))
        native["secrets"] = dict.fromkeys(request.secrets, "***")
        found = self.find(request.endpoint)
        what = "a new version of" if found else "endpoint"
        creates = [f"{what} {request.endpoint}, version {request.version}: {request.spec.min_replicas} replica(s)"]
        return Plan(creates, native, cost=_COST)

    def deploy(self, request: DeployRequest) -> Ref:
        """See :class:`cloudops.provider.Deployer`."""
        ref = self._client.ref("endpoints", request.endpoint)
        with translated("deploy", ref):
            self._client.deploy(request)
        return ref

    def find(self, name: str) -> Ref | None:
        """See :class:`cloudops.provider.Deployer`."""
        return self._client.ref("endpoints", name) if self._client.has_endpoint(name) else None

    def status(self, ref: Ref) -> Status:
        """See :class:`cloudops.provider.Deployer`."""
        from dataclasses import replace

        from .mapping import endpoint_status

        with translated("status", ref):
            return replace(endpoint_status(self._client.endpoint_state(ref)), created=self._client.item(ref).created)

    def predict(
        self, ref: Ref, body: bytes, *, content_type: str = "application/json", version: str | None = None
    ) -> Answer:
        """See :class:`cloudops.provider.Deployer`."""
        from .scoring import send

        with translated("predict", ref):
            url, token = self._client.endpoint_state(ref).url, self._client.token(ref)
        return send(ref, url, body, content_type=content_type, version=version, token=token)

    def set_traffic(self, ref: Ref, shares: Mapping[str, float]) -> None:
        """See :class:`cloudops.provider.Deployer`."""
        from cloudops.engine import service

        with translated("traffic", ref):
            service.set_traffic(self._client.endpoint_folder(ref), shares)

    def rollback(self, ref: Ref) -> None:
        """See :class:`cloudops.provider.Deployer`."""
        from cloudops.engine import service

        with translated("rollback", ref):
            service.rollback(self._client.endpoint_folder(ref))

    def logs(self, ref: Ref, *, follow: bool = False, tail: int | None = None) -> Iterator[LogLine]:
        """See :class:`cloudops.provider.Deployer`."""
        from cloudops.engine import service

        with translated("logs", ref):
            records = service.logs(self._client.endpoint_folder(ref), follow=follow, tail=tail)
            return _until_deleted(ref, (LogLine(record.time, record.text, record.source) for record in records))

    def delete(self, ref: Ref) -> None:
        """See :class:`cloudops.provider.Deployer`."""
        with translated("delete", ref):
            self._client.delete_endpoint(ref)

    def endpoints(self, project: str | None = None) -> Iterator[Listed]:
        """See :class:`cloudops.provider.Deployer`."""
        for item in self._client.index.list("endpoints", project):
            ref = self._client.ref("endpoints", item.name)
            if not self._client.has_endpoint(item.name):
                yield Listed(ref, Phase.FAILED, item.created, item.project)
                continue
            try:
                status = self.status(ref)
            except ProviderError:  # damaged files: listed, so that it can be deleted
                yield Listed(ref, Phase.UNKNOWN, item.created, item.project)
                continue
            yield Listed(ref, status.phase, item.created, item.project, details={"url": status.url})


class LocalMonitor(Monitor):
    """The router's counts and the replicas' captured requests."""

    def __init__(self, client: LocalClient) -> None:
        self._client = client

    def metrics(self, ref: Ref, *, since: float, until: float) -> list[MetricPoint]:
        """See :class:`cloudops.provider.Monitor`."""
        from cloudops.engine import service

        names = ("requests", "errors", "client_errors", "latency_p50", "latency_p90", "latency_p99")
        with translated("metrics", ref):
            found = service.metrics(self._client.endpoint_folder(ref), since=since, until=min(until, time.time()))
        return [
            MetricPoint(name, float(value), time=until, labels={"version": version.version})
            for version in found
            for name in names
            if (value := getattr(version, name)) is not None
        ]

    def captured(self, ref: Ref, *, since: float, until: float) -> Iterator[Captured]:
        """See :class:`cloudops.provider.Monitor`."""
        from .captures import read

        return read(self._client.endpoint_folder(ref) / "capture", since, until)


def _until_deleted(ref: Ref, lines: Iterator[LogLine]) -> Iterator[LogLine]:
    """The lines, up to the moment in which their files are deleted; what fails does so while they are read."""
    with translated("logs", ref), suppress(FileNotFoundError):
        yield from lines
