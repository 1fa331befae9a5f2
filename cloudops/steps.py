"""The steps of one project: what they are, and what each of them takes from the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

from . import references
from .errors import CloudopsError, ConfigError, NotFound, UnsupportedFeature
from .handles import Endpoint, Job, attach
from .provider import ModelInfo
from .refs import Phase
from .specs import STEPS, TRAINED

if TYPE_CHECKING:
    from .config import Config
    from .preflight import Preflight
    from .provider import BatchRequest, DeployRequest, JobRequest
    from .requests import Requests
    from .specs import BatchSpec, DeploySpec, StepSpec
    from .submission import Submission

Served = TypeVar("Served", "BatchSpec", "DeploySpec")


class Steps:
    """The specs of a project with everything in them filled in.

    Args:
        config: the project file; None for a session whose specs all come from Python.
        requests: builds requests.
        submission: knows the jobs that there are, and the provider.
        preflight: what a request has to pass first.
        overrides: the validated overrides of the provider, an attribute for each step; or None.
    """

    def __init__(
        self, config: Config | None, requests: Requests, submission: Submission, preflight: Preflight, overrides: Any
    ) -> None:
        self.config = config
        self._requests = requests
        self._submission = submission
        self._preflight = preflight
        self._overrides = overrides
        self._jobs: dict[str, Job] = {}

    def configured(self, step: str) -> Any:
        """The spec of a step in the project file, or None."""
        return getattr(self.config.project, step) if self.config else None

    def resolve(self, text: str, *, planning: bool = False) -> str:
        """``text`` with its references to other steps filled in.

        Raises:
            ConfigError: a step that it refers to has not succeeded yet.
        """
        return references.fill(text, lambda name: self._value(name, planning))

    def _value(self, name: str, planning: bool) -> str:
        head, _, rest = name.partition(".")
        step = "train" if head == "inputs" else head
        spec = self.configured(step) if step in STEPS else None
        if spec is None:
            raise ConfigError(f"the reference ${{{{{name}}}}} leads nowhere: the project file has no {step}")
        if head == "inputs":
            return self.resolve(spec.inputs[rest], planning=planning)
        job = self.done(head)
        if job is None:
            if planning:
                return f"{references.PENDING}{name}>"
            hint = f"run {head} first"
            if rest == "model":
                hint += ", or name a model version (`cloudops models` lists them) with --model"
            raise ConfigError(f"{name} is not there: {head} has not succeeded with this code and data", hint=hint)
        if rest == "model":
            return str(self._made(job).ref)
        return job.outputs()[rest.removeprefix("outputs.")]

    def _made(self, job: Job) -> ModelInfo:
        try:
            return self._submission.provider.trainer.model(job.ref)
        except NotFound as error:
            # The training's fault and not the provider's: it ended well and left nothing.
            raise CloudopsError(error.message, ref=job.ref, hint=error.hint) from error

    def done(self, step: str) -> Job | None:
        """The succeeded job of a step of the project file, as it stands now."""
        job = self._jobs.get(step)
        if job is not None:
            return job if job.status().phase is Phase.SUCCEEDED else None
        try:
            request = self.request(step, self.configured(step))
        except ConfigError:  # it waits for a step of its own
            return None
        job = self._submission.succeeded(request.name)
        if job is not None:
            self._jobs[step] = job
        return job

    def remember(self, step: str, job: Job) -> None:
        """That ``job`` was started for a step: from now on it is what other steps refer to."""
        self._jobs[step] = job

    def request(self, step: str, spec: StepSpec, *, planning: bool = False) -> JobRequest:
        """The request for a job, every reference filled in; with ``planning`` as far as can be known."""
        inputs = {name: self.resolve(source, planning=planning) for name, source in spec.inputs.items()}
        if step == "evaluate":
            inputs["model"] = self.model(getattr(spec, "model", None), planning=planning).location
        return self._requests.job(
            step,
            spec,
            inputs=inputs,
            secrets=self._preflight.secrets(spec.secrets),
            options=getattr(self._overrides, step, None),
        )

    def batch_request(self, spec: BatchSpec, *, planning: bool = False) -> BatchRequest:
        """The request for predictions, every reference filled in; with ``planning`` as far as can be known."""
        self._preflight.batch(spec)
        info = self.model(spec.model, planning=planning)
        request = self._requests.batch(
            self._inheriting(spec, info, self._preflight.batch),
            model=info,
            data=self.resolve(spec.data, planning=planning),
            secrets=self._preflight.secrets(spec.secrets),
            options=getattr(self._overrides, "batch", None),
        )
        return request if request.requirements is not None else replace(request, requirements=info.requirements)

    def deploy_request(self, spec: DeploySpec, *, planning: bool = False) -> DeployRequest:
        """The request for a deployment, every reference filled in; with ``planning`` as far as can be known."""
        self._preflight.deploy(spec)
        info = self.model(spec.model, planning=planning)
        chosen = self._inheriting(spec, info, self._preflight.deploy)
        request = self._requests.deploy(
            chosen,
            model=info,
            secrets=self._preflight.secrets(spec.secrets),
            options=getattr(self._overrides, "deploy", None),
        )
        return request if request.requirements is not None else replace(request, requirements=info.requirements)

    def _inheriting(self, spec: Served, info: ModelInfo, check: Callable[[Served], None]) -> Served:
        """``spec`` with the framework or the image that its model was trained with, where it names none."""
        environment = info.lineage.get("environment", {})
        inherited = {key: environment[key] for key in ("framework", "image") if environment.get(key)}
        if spec.framework is not None or spec.image is not None or not inherited:
            return spec
        chosen = spec.model_copy(update=inherited)
        try:
            check(chosen)
        except UnsupportedFeature as error:
            error.hint = "the model was trained with it; name a framework here instead, such as sklearn@1.7"
            raise
        return chosen

    def model(self, given: str | None, *, planning: bool = False) -> ModelInfo:
        """The model that a spec names: a URI, a folder, or by default that of the project's training."""
        if given is None and self.configured("train") is None:
            hint = "name a model version's URI or a folder: --model, model= or the key model"
            raise ConfigError("no model is named, and the project trains none", hint=hint)
        text = self.resolve(given or TRAINED, planning=planning)
        if text.startswith(references.PENDING):
            return ModelInfo(None, text)
        if not text.startswith("cloudops://"):
            return ModelInfo(None, str(self._requests.root / text))
        found = attach(text, root=self._requests.root)
        if isinstance(found, Endpoint):
            raise ConfigError(f"{text} is an endpoint's URI, expected that of a model version or a job")
        return found.provider.trainer.model(found.ref)

    def spec(self, step: str, given: Any) -> Any:
        """The spec of a step: ``given`` by the caller and checked, or that of the project file.

        Raises:
            ConfigError: there is none, or what was given is none for this step.
        """
        spec = given if given is not None else self.configured(step)
        if spec is None:
            where = f"{self.config.path} has no {step}" if self.config else f"no spec for {step} was given"
            raise ConfigError(where, hint=f"add the key {step}: to the project file, or pass a spec")
        if given is not None:
            self._check_given(step, given)
        return spec

    def _check_given(self, step: str, given: object) -> None:
        """What the project file goes through when it is loaded, for a spec that comes from Python."""
        from . import specs

        wanted: type = getattr(specs, f"{step.capitalize()}Spec")
        if not isinstance(given, wanted):
            raise ConfigError(f"{step} takes a {wanted.__name__}, got {type(given).__name__}")
        project = {name: self.configured(name) for name in STEPS} | {step: given}
        for place, message in references.problems(SimpleNamespace(**project), [step]):
            raise ConfigError(message).at(*place)

    @contextmanager
    def located(self, given: object = None, *, but: tuple[str, ...] = ()) -> Iterator[None]:
        """Put file and line before what is wrong with a key, unless the spec was ``given`` by the caller.

        Args:
            given: the spec that the caller gave; None for that of the project file.
            but: a key whose value the caller gave all the same.
        """
        try:
            yield
        except CloudopsError as error:
            if error.place and error.place != but and given is None and self.config is not None:
                error.led_by(self.config.origin(error.place))
            raise
