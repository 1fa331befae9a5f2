"""The whole loop: prepare, train, evaluate, gate, batch, deploy, query, monitor."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from .errors import ConfigError
from .gate import gate
from .specs import STEPS

if TYPE_CHECKING:
    from .handles import Endpoint, Job
    from .refs import Status
    from .session import Session
    from .specs import EvaluateSpec
    from .watch import Watched


class Progress(Protocol):
    """What is told to whoever watches a run."""

    def warn(self, text: str) -> None:
        """Something to know before the steps begin, such as a field that the provider emulates."""

    def begin(self, step: str, text: str) -> None:
        """A step begins; ``text`` names what it works on."""

    def status(self, step: str, status: Status) -> None:
        """A step's job or endpoint is in another state."""

    def note(self, step: str, text: str) -> None:
        """Something worth a line happened."""

    def end(self, step: str, text: str) -> None:
        """A step is done; ``text`` is what came of it."""


@dataclass
class RunResult:
    """What a run came to; the parts of steps that the project does not have stay None."""

    prepare: dict[str, Any] | None = None
    train: dict[str, Any] | None = None
    evaluate: dict[str, Any] | None = None
    batch: dict[str, Any] | None = None
    deploy: dict[str, Any] | None = None
    monitor: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """The parts that are there, JSON values only."""
        return {name: part for name, part in vars(self).items() if part is not None}


@dataclass
class Pipeline:
    """Takes the steps of a session's project in order; each waits for the one before.

    Args:
        session: a session with a project file.
        progress: who is told.
        new: start new jobs even where the same ones have succeeded already.
        steps: which steps to take; those that the project lacks are passed over.
        started: whether a job was started, or found, yet.
    """

    session: Session
    progress: Progress
    new: bool = False
    steps: Sequence[str] = STEPS
    result: RunResult = field(default_factory=RunResult)
    started: bool = False

    def run(self) -> RunResult:
        """Take the steps.

        Raises:
            JobFailed: a job failed.
            GateFailed: the evaluation misses a requirement; nothing was deployed.
            CloudopsError: anything else that went wrong; what was created stays, and a repeated run goes on from it.
        """
        project = self.session.config.project if self.session.config else None
        if not any(getattr(project, step, None) for step in self.steps):
            raise ConfigError(f"the project has no step to take (of {', '.join(self.steps)})")
        for note in self.session.validate(self.steps):
            self.progress.warn(note)
        for step in self.steps:
            if getattr(project, step, None) is not None:
                getattr(self, f"_{step}")()
        return self.result

    def _prepare(self) -> None:
        job = self._job("prepare", self.session.prepare)
        self.result.prepare = {"uri": job.uri, "phase": "succeeded", "outputs": dict(job.outputs())}

    def _train(self) -> None:
        job = self._job("train", self.session.train)
        self.result.train = {"uri": job.uri, "phase": "succeeded", "metrics": job.final_metrics()}

    def _evaluate(self) -> None:
        job = self._job("evaluate", self.session.evaluate)
        metrics = job.final_metrics()
        self.result.evaluate = {"uri": job.uri, "metrics": metrics, "passed": False}
        spec: EvaluateSpec = self.session.config.project.evaluate  # type: ignore[union-attr,assignment]
        gate(spec, metrics)
        self.result.evaluate["passed"] = True

    def _batch(self) -> None:
        job = self._job("batch", self.session.batch)
        self.result.batch = {"uri": job.uri, "phase": "succeeded", "predictions": job.outputs()["predictions"]}

    def _deploy(self) -> None:
        spec = self.session.config.project.deploy  # type: ignore[union-attr]
        self.progress.begin("deploy", spec.endpoint if spec else "")
        endpoint = self.session.deploy()
        status = endpoint.wait(on_change=self._watcher("deploy", endpoint))
        self.result.deploy = {"uri": endpoint.uri, "url": status.url, "traffic": dict(status.traffic)}
        if status.reason:
            self.result.deploy["reason"] = status.reason
        sample = self._sample(endpoint)
        if sample is not None:
            self.result.deploy["prediction"] = sample
        self.progress.end("deploy", f"{endpoint.ref.id} at {status.url}")

    def _monitor(self) -> None:
        self.progress.begin("monitor", "")
        report = self.session.monitor(progress=lambda line: self.progress.note("monitor", line))
        self.result.monitor = {
            "verdict": report.verdict,
            "drifted": list(report.drifted),
            "report": str(report.html),
            "periods": {
                period.label: {"rows": period.rows, "drifted": list(period.drifted)} for period in report.report.periods
            },
        }
        self.progress.end("monitor", verdict_line(report))

    def _job(self, step: str, start: Callable[..., Job]) -> Job:
        self.progress.begin(step, "")
        job = start(new=self.new)
        self.started = True
        self.progress.note(step, job.uri)
        job.wait(on_change=self._watcher(step, job))
        metrics = ", ".join(f"{name}={value:.6g}" for name, value in job.final_metrics().items())
        self.progress.end(step, metrics or "succeeded")
        return job

    def _watcher(self, step: str, handle: Job | Endpoint) -> Callable[[Status], None]:
        tell = self.session.notify(handle.ref)

        def changed(status: Status) -> None:
            self.progress.status(step, status)
            tell(status)

        return changed

    def _sample(self, endpoint: Endpoint) -> dict[str, Any] | None:
        """One prediction for the first row of what the monitor knows, so that a run ends with an answer."""
        monitor = self.session.config.project.monitor if self.session.config else None
        sources = [*monitor.replay.values(), monitor.reference] if monitor else []
        if monitor is None or not sources or sources[0] is None:
            return None
        from .watch import first_row

        row = first_row(self.session.resolve(sources[0]), monitor.label, self.session.root)
        prediction = endpoint.predict([row])[0]
        return {"row": row, "prediction": prediction}


def verdict_line(report: Watched) -> str:
    """A report's verdict in one line."""
    drifted = f": {', '.join(report.drifted)}" if report.drifted else ""
    return f"{report.verdict}{drifted}"
