"""The Python API: a project on a provider.

Every call that creates is idempotent: its name follows from the code, the data, the parameters and the place, so a
repeated call, after a crash or from another machine, finds its own work instead of doubling it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import references
from .errors import CloudopsError, ConfigError, GateFailed, NotFound
from .events import BeforeDelete, StatusChanged
from .gate import gate
from .handles import Endpoint, Job, ModelVersion, attach, handle
from .observers import Observers
from .preflight import Preflight
from .provider import Capability, ModelInfo, Plan, Support
from .refs import Listed, Ref
from .requests import Requests
from .specs import STEPS, TRAINED
from .steps import Steps
from .submission import Submission

if TYPE_CHECKING:
    from .config import Config
    from .provider import CheckResult, Provider, Request
    from .refs import Status
    from .specs import BatchSpec, DeploySpec, EvaluateSpec, MonitorSpec, PrepareSpec, StepSpec, TrainSpec
    from .watch import Watched

#: The steps that are about a model, by default the one just trained.
_OF_MODELS = ("evaluate", "batch", "deploy")


class Session:
    """A project on a provider; made by :func:`connect`."""

    def __init__(
        self,
        provider: Provider,
        *,
        project: str,
        root: Path,
        place: Mapping[str, Any],
        overrides: Any = None,
        config: Config | None = None,
        observers: Observers | None = None,
        environ: Mapping[str, str] | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.provider = provider
        self.project = project
        self.root = root
        self.config = config
        self._overrides = overrides
        self._observers = observers or Observers()
        self._submission = Submission(provider, root, self._observers, sleep)
        secrets = os.environ if environ is None else environ
        self._preflight = Preflight(provider.info.name, provider.capabilities(), root, secrets)
        requests = Requests(project, root, place, config.path.resolve() if config else None)
        self._steps = Steps(config, requests, self._submission, self._preflight, overrides)

    def capabilities(self) -> Mapping[Capability, Support]:
        """What the provider can do, with reasons."""
        return self.provider.capabilities()

    def check(self) -> list[CheckResult]:
        """Whether a run would work, the project's own steps included as far as they can be known; creates nothing."""
        return self.provider.check(self._requests())

    def _requests(self) -> Iterator[Request]:
        """What a run would submit; what is wrong with a step is :meth:`validate`'s business."""
        for step in STEPS[:-1]:
            if (spec := self._steps.configured(step)) is not None:
                with suppress(CloudopsError):
                    yield self._request(step, spec)

    def _request(self, step: str, spec: Any) -> Request:
        with self._steps.located():
            if step == "deploy":
                return self._steps.deploy_request(spec, planning=True)
            if step == "batch":
                return self._steps.batch_request(spec, planning=True)
            self._preflight.job(step, spec)
            return self._steps.request(step, spec, planning=True)

    def validate(self, steps: Sequence[str] = STEPS, *, model: str | None = None) -> list[str]:
        """Check steps of the project file against the provider, its machines included; raises for the first problem.

        Args:
            steps: which; those that the project file lacks are passed over.
            model: what is to be evaluated and deployed, over what the project file says.

        Returns:
            One line for each thing to know before they are taken, such as a field that the provider emulates.
        """
        for unknown in set(steps) - set(STEPS):
            raise ConfigError(f"there is no step {unknown!r}", hint=f"the steps are {', '.join(STEPS)}")
        configured = {step: spec for step in steps if (spec := self._steps.configured(step)) is not None}
        with self._steps.located():
            for step, spec in configured.items():
                if step == "monitor":
                    self._monitored(spec)
                elif step in ("batch", "deploy"):
                    getattr(self._preflight, step)(spec)
                else:
                    self._preflight.job(step, spec)
            if model is None and {"evaluate", "deploy"} <= configured.keys():
                self._one_model(configured["evaluate"], configured["deploy"])
            plans = [self._plan(step, model) for step in configured if step != "monitor"]
        return list(dict.fromkeys(note for plan in plans for note in plan.notes))

    def _one_model(self, evaluate: EvaluateSpec, deploy: DeploySpec) -> None:
        """A gate holds for the model that it measures, which therefore has to be the one that is deployed."""
        measured, deployed = (spec.model or TRAINED for spec in (evaluate, deploy))
        if evaluate.require and measured != deployed:
            error = ConfigError(f"measures {measured}, while {deployed} is deployed", hint="name one model in both")
            raise error.at("evaluate", "model" if evaluate.model else "require")

    def _monitored(self, spec: MonitorSpec) -> None:
        """Find out before anything is created, let alone paid for, what would end the monitor step after all others."""
        from .watch import check_tables

        self._preflight.monitor(spec)
        check_tables(spec, lambda text: self.resolve(text, planning=True), self.root)
        self._captures(spec)
        deploy = self._steps.configured("deploy")
        if deploy is None or spec.endpoint not in (None, deploy.endpoint):
            try:
                self.endpoint(spec.endpoint).status()
            except NotFound as error:
                raise ConfigError(error.message, hint=error.hint).at("monitor", "endpoint") from error

    def _captures(self, spec: MonitorSpec) -> None:
        """Rows are compared that were captured; where the project's endpoint captures none, nothing would be found."""
        deploy: DeploySpec | None = self._steps.configured("deploy")
        if deploy is None or spec.endpoint not in (None, deploy.endpoint) or (deploy.capture and deploy.capture.sample):
            return
        quality = any(value is not None for _, value in spec.checks.quality)
        for key, wanted in (("replay", spec.replay), ("reference", spec.reference), ("checks", quality)):
            if wanted:
                hint = "add capture: {sample: 100%} to deploy"
                raise ConfigError("the project's endpoint captures no requests", hint=hint).at("monitor", key)

    def prepare(self, spec: PrepareSpec | None = None, *, new: bool = False) -> Job:
        """Start the data step, or find the same one; returns at once."""
        with self._steps.located(spec):
            return self._submit("prepare", self._steps.spec("prepare", spec), new=new)

    def train(self, spec: TrainSpec | None = None, *, new: bool = False) -> Job:
        """Start a training job, or find the same one; returns at once.

        Args:
            spec: what to train; that of the project file by default.
            new: start another one even where one with the same code, data and parameters exists.

        Raises:
            ConfigError: the spec is wrong for this project.
            UnsupportedFeature: the provider cannot do what a field asks for.
            ProviderError: the provider refused.
        """
        with self._steps.located(spec):
            return self._submit("train", self._steps.spec("train", spec), new=new)

    def evaluate(self, spec: EvaluateSpec | None = None, *, model: str | None = None, new: bool = False) -> Job:
        """Start an evaluation of a model version, by default the one of the project's training."""
        chosen: EvaluateSpec = self._steps.spec("evaluate", spec)
        if model is not None:
            chosen = chosen.model_copy(update={"model": model})
        with self._steps.located(spec, but=() if model is None else ("evaluate", "model")):
            return self._submit("evaluate", chosen, new=new)

    def batch(self, spec: BatchSpec | None = None, *, model: str | None = None, new: bool = False) -> Job:
        """Start a job that predicts every row of a table, without an endpoint; returns at once.

        Its output ``predictions`` is a folder with a file ``NAME.out`` of one prediction per line, in the rows' order.

        Args:
            spec: what to predict; that of the project file by default.
            model: a model version or a folder, over that of the spec.
            new: start another one even where the same one was run already.

        Raises:
            ConfigError: the table cannot be read, or the spec is wrong for this project.
            UnsupportedFeature: the provider cannot do what a field asks for.
        """
        chosen: BatchSpec = self._steps.spec("batch", spec)
        if model is not None:
            chosen = chosen.model_copy(update={"model": model})
        with self._steps.located(spec, but=() if model is None else ("batch", "model")):
            return self._submission.job(self._steps.batch_request(chosen), new=new)

    def deploy(self, spec: DeploySpec | None = None, *, model: str | None = None) -> Endpoint:
        """Put a model version behind an endpoint; returns at once. The same version again changes nothing.

        Raises:
            GateFailed: the project's evaluation has requirements, and this model has not passed them.
        """
        chosen: DeploySpec = self._steps.spec("deploy", spec)
        if model is not None:
            chosen = chosen.model_copy(update={"model": model})
        with self._steps.located(spec, but=() if model is None else ("deploy", "model")):
            request = self._steps.deploy_request(chosen)
            self._gate(chosen.model)
            return self._submission.deployment(request)

    def monitor(
        self,
        spec: MonitorSpec | None = None,
        *,
        endpoint: str | None = None,
        html: str | os.PathLike[str] | None = None,
        progress: Callable[[str], None] | None = None,
    ) -> Watched:
        """Check an endpoint's traffic against its reference; sends the replays first.

        Args:
            spec: what to check; that of the project file by default.
            endpoint: its URI or name, over that of the spec; by default the one that the project deploys.
            html: where to write the report page; under ``.cloudops/reports`` by default.
            progress: called with a line for each thing done.
        """
        from .watch import check_tables, watch

        chosen: MonitorSpec = self._steps.spec("monitor", spec)
        with self._steps.located(spec):
            self._preflight.monitor(chosen)
            check_tables(chosen, self.resolve, self.root)
            if endpoint is None:
                self._captures(chosen)
        found = self.endpoint(endpoint or chosen.endpoint)
        page = None if html is None else Path(html)
        return watch(found, chosen, self.resolve, root=self.root, html=page, progress=progress or (lambda line: None))

    def plan(self, step: str) -> Plan:
        """What a step of the project file would create, with the provider's own request; creates nothing."""
        with self._steps.located():
            plan = self._plan(step)
        waits = ", ".join(self._waits(step))
        later = [f"{step}: its name will be another one, which follows from {waits}"] if waits else []
        return replace(plan, notes=[*plan.notes, *later])

    def _waits(self, step: str) -> list[str]:
        """What a step takes from steps that are not done yet."""
        spec = self._steps.configured(step)
        given = {"deploy": [], "batch": [getattr(spec, "data", "")]}.get(step)
        sources = [self.resolve(text, planning=True) for text in (spec.inputs.values() if given is None else given)]
        if step in _OF_MODELS:
            sources.append(self._steps.model(spec.model, planning=True).location)
        return [source for source in sources if source.startswith(references.PENDING)]

    def _plan(self, step: str, model: str | None = None) -> Plan:
        spec: Any = self._steps.spec(step, None)
        if model is not None and step in _OF_MODELS:
            spec = spec.model_copy(update={"model": model})
        notes = list(self._preflight.notes(step, spec)) + self._override_notes(step)
        if step == "deploy":
            plan = self.provider.deployer.plan(self._steps.deploy_request(spec, planning=True))
        elif step == "batch":
            batch = self._steps.batch_request(spec, planning=True)
            plan = replace(self.provider.trainer.plan_batch(batch), exists=self._submission.find(batch.name))
        else:
            self._preflight.job(step, spec)
            job = self._steps.request(step, spec, planning=True)
            plan = replace(self.provider.trainer.plan(job), exists=self._submission.find(job.name))
        return replace(plan, notes=[*plan.notes, *notes])

    def jobs(self) -> Iterator[Listed]:
        """The project's jobs, newest first."""
        return self.provider.trainer.jobs(self.project)

    def models(self) -> Iterator[ModelInfo]:
        """The project's model versions, newest first."""
        return self.provider.trainer.models(self.project)

    def endpoints(self) -> Iterator[Listed]:
        """The project's endpoints."""
        return self.provider.deployer.endpoints(self.project)

    def endpoint(self, name: str | None = None) -> Endpoint:
        """An endpoint by URI or name, by default the one that the project deploys. Raises NotFound."""
        deploy = self._steps.configured("deploy")
        wanted = name or (deploy.endpoint if deploy else None)
        if wanted is None:
            raise ConfigError("no endpoint is named", hint="pass its URI or name, or add deploy to the project file")
        if wanted.startswith("cloudops://"):
            found = attach(wanted, root=self.root)
            if not isinstance(found, Endpoint):
                raise ConfigError(f"{wanted} is not an endpoint's URI")
            return found
        ref = self.provider.deployer.find(wanted)
        # Another project may have one of that name in the same place.
        if ref is None or all(item.ref != ref for item in self.endpoints()):
            raise NotFound(
                f"{self.provider.info.name} has no endpoint {wanted!r} in this project",
                provider=self.provider.info.name,
                hint="`cloudops endpoints` lists them; `cloudops deploy` creates it",
            )
        return Endpoint(ref, self.provider)

    def created(self) -> list[Listed]:
        """Everything that the project created and that still exists: endpoints first, then jobs with their models."""
        return [*self.endpoints(), *self.jobs()]

    def down(self, items: list[Listed] | None = None) -> list[Ref]:
        """Delete everything that the project created (or ``items`` of it); returns what was deleted."""
        deleted = []
        for item in self.created() if items is None else items:
            self._observers.tell("before_delete", BeforeDelete(item.ref))
            found = handle(item.ref, self.provider)
            if isinstance(found, Job | Endpoint):
                found.delete()
            deleted.append(item.ref)
        return deleted

    def attach(self, uri: str) -> Job | ModelVersion | Endpoint:
        """The handle that ``uri`` names."""
        return attach(uri, root=self.root)

    def notify(self, ref: Ref) -> Callable[[Status], None]:
        """A callback for ``wait(on_change=...)`` that tells the observers."""
        return lambda status: self._observers.tell("on_event", StatusChanged(ref, status))

    def resolve(self, text: str, *, planning: bool = False) -> str:
        """``text`` with its references to other steps filled in.

        Raises:
            ConfigError: a step that it refers to has not succeeded yet.
        """
        return self._steps.resolve(text, planning=planning)

    def _submit(self, step: str, spec: StepSpec, *, new: bool) -> Job:
        self._preflight.job(step, spec)
        job = self._submission.job(self._steps.request(step, spec), new=new)
        self._steps.remember(step, job)
        return job

    def _gate(self, model: str | None) -> None:
        """Nothing is deployed below the project's requirements, whichever way the deployment is asked for."""
        evaluate: EvaluateSpec | None = self._steps.configured("evaluate")
        if evaluate is None or not evaluate.require:
            return
        # Also where the file has another one measured: what counts is the model that is deployed.
        spec = evaluate.model_copy(update={"model": model})
        job = self._submission.succeeded(self._steps.request("evaluate", spec).name)
        if job is None:
            raise GateFailed(
                "this model was not evaluated with this code and data",
                hint="`cloudops evaluate` does it (with --model for a model of your choice), `cloudops run` does all",
            ).at("evaluate", "require")
        gate(evaluate, job.final_metrics())

    def _override_notes(self, step: str) -> list[str]:
        options = getattr(self._overrides, step, None)
        if options is None:
            return []
        name = self.provider.info.name
        given = options.model_dump(mode="json", exclude_unset=True)
        return [f"overrides.{name}.{step}.{key}: {value!r} (not portable)" for key, value in given.items()]
