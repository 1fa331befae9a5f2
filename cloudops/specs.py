"""What is to be done, as frozen models: the same for every provider, and the content of ``cloudops.yaml``.

Strict: an unknown key, a wrong type or a wrong unit is an error. Quantities are written in the field's notation
(:mod:`cloudops.quantities`). Strings may hold references ``${{...}}``, listed in :mod:`cloudops.references`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from . import quantities, variables

if TYPE_CHECKING:
    from pydantic_core import CoreSchema


#: The validation context of what comes from a file, where a number without its unit would be a guess.
FROM_FILE = {"from_file": True}


def _quantity(parse: Callable[[object], Any], show: Callable[[Any], str], pattern: str, *, number: bool = False) -> Any:
    schema: dict[str, Any] = {"type": "string", "pattern": pattern}
    if number:
        schema = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, schema]}
    return PlainValidator(parse), PlainSerializer(show, return_type=str), WithJsonSchema(schema)


def _in_python_a_number(parse: Callable[[object], float], show: Callable[[float], str]) -> Callable[..., float]:
    """Python code passes what the annotation says, seconds or a share; or the notation, as the file must."""

    def check(given: object, info: ValidationInfo) -> float:
        number = isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given)
        return parse(show(float(given)) if number and info.context != FROM_FILE else given)  # type: ignore[arg-type]

    return check


_AMOUNT = _quantity(quantities.amount, str, r"^[0-9]+(\.[0-9]+)?\+?$", number=True)
_ACCELERATORS = _quantity(quantities.accelerators, str, r"^[A-Za-z][A-Za-z0-9_.-]*(:[0-9]{1,4})?$")
_DURATION = _quantity(
    _in_python_a_number(quantities.duration, quantities.format_duration),
    quantities.format_duration,
    r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$",
)
_SHARE = _quantity(
    _in_python_a_number(quantities.share, quantities.format_share), quantities.format_share, r"^[0-9]+(\.[0-9]+)?\s*%$"
)
_REQUIREMENT = _quantity(
    quantities.requirement, str, r"^(>=|<=|==|>|<)\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?$"
)


def _shown(notation: str) -> dict[str, Any]:
    """A default in the notation of the file, for the JSON schema."""
    return {"default": notation}


Amount = Annotated[quantities.Amount, *_AMOUNT]
Accelerators = Annotated[quantities.Accelerators, *_ACCELERATORS]
#: Seconds; in the file always with a unit.
Duration = Annotated[float, *_DURATION]
#: 0 to 1; in the file always a percentage.
Share = Annotated[float, *_SHARE]
Requirement = Annotated[quantities.Requirement, *_REQUIREMENT]


def matching(pattern: str, expected: str) -> Any:
    """An annotation of texts that are ``pattern`` as a whole; an error says what was ``expected``."""
    compiled = re.compile(pattern)

    def check(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError(f"expected {expected}")
        return text

    return AfterValidator(check), WithJsonSchema({"type": "string", "pattern": f"^{pattern}$"})


_WORD = r"[A-Za-z0-9_]"
_NAME = matching(
    r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?", "1 to 32 of a-z, 0-9 and '-', a letter first and no '-' at the end"
)
_KEY = matching(rf"[A-Za-z_]{_WORD}{{0,62}}", "a name of letters, digits and '_', not starting with a digit")
_TARGET = matching(r"[A-Za-z][A-Za-z0-9_-]{0,62}", "a name of letters, digits, '_' and '-', a letter first")
_ENV = matching(rf"[A-Za-z_]{_WORD}{{0,254}}", "the name of an environment variable")
_FRAMEWORK = matching(r"[a-z][a-z0-9_-]*@[0-9]+(\.[0-9]+){0,2}", "a framework and its version, such as sklearn@1.7")
_NO_NUL = matching(r"[^\x00]*", "a string without NUL characters")

#: A project's or an endpoint's name: the narrowest of the clouds' rules (Azure ML's endpoint names).
Name = Annotated[str, *_NAME]
#: An input's, output's or parameter's name; it becomes part of an environment variable's name.
Key = Annotated[str, *_KEY]
TargetName = Annotated[str, *_TARGET]
EnvName = Annotated[str, *_ENV]
Framework = Annotated[str, *_FRAMEWORK]
#: A value that reaches a process as an argument or a variable.
Value = Annotated[str, *_NO_NUL]
Text = Annotated[
    str,
    Field(min_length=1),
    *matching(r"[^\x00]*[^\x00\s][^\x00]*", "a string that is not blank, without NUL characters"),
]
Scalar = Value | bool | int | Annotated[float, Field(allow_inf_nan=False)] | None


class Strict(BaseModel):
    """The base of every model here: frozen, unknown keys refused, no silent conversion of types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """As pydantic, but names that do not match their pattern are refused in the JSON schema too."""
        result = handler(schema)
        for part in handler.resolve_ref_schema(result).get("properties", {}).values():
            if "patternProperties" in part:
                part["additionalProperties"] = False
        return result


class Resources(Strict):
    """The machine that each node of a job, or each replica of an endpoint, gets."""

    cpus: Amount | None = Field(default=None, description="CPUs: 4, or 4+ for at least 4")
    memory: Amount | None = Field(default=None, description="Gigabytes of memory: 16, or 16+")
    accelerators: Accelerators | None = Field(default=None, description="Kind and count, such as T4:1")
    use_spot: bool = Field(
        default=False, description="Take interruptible capacity; the job resumes from its checkpoints"
    )
    num_nodes: int = Field(default=1, ge=1, le=1000, description="Machines that run the command together")
    disk_size: int | None = Field(default=None, ge=1, le=65536, description="Gigabytes of disk")
    instance_type: Text | None = Field(default=None, description="A provider's own machine type; not portable")


class ReplicaResources(Strict):
    """The machine that each replica of an endpoint gets."""

    cpus: Amount | None = Field(default=None, description="CPUs: 2, or 2+ for at least 2")
    memory: Amount | None = Field(default=None, description="Gigabytes of memory: 4, or 4+")
    accelerators: Accelerators | None = Field(default=None, description="Kind and count, such as T4:1")
    instance_type: Text | None = Field(default=None, description="A provider's own machine type; not portable")


class StepSpec(Strict):
    """What every job has: a command, its code, and what it needs."""

    command: Text = Field(description="A shell command; ${{inputs.x}}, ${{outputs.x}} and ${{params.x}} are filled in")
    code: Text = Field(default=".", description="The folder that the command runs in; .gitignore is honoured")
    framework: Framework | None = Field(default=None, description="Framework and version, such as sklearn@1.7")
    image: Text | None = Field(default=None, description="A container image instead of a framework")
    requirements: Text | None = Field(default=None, description="A pip requirements file, for an isolated environment")
    inputs: dict[Key, Text] = Field(default={}, description="Name to path, glob or s3:// gs:// azureml:// https:// URI")
    outputs: list[Key] = Field(default=[], description="Names of the folders that the command fills")
    params: dict[Key, Scalar] = Field(default={}, description="Name to value, for ${{params.x}} in the command")
    envs: dict[EnvName, Value] = Field(default={}, description="Environment variables of the job")
    secrets: list[EnvName] = Field(default=[], description="Names only; the values come from the caller's environment")
    resources: Resources = Field(default_factory=Resources, description="The machine that each node gets")
    timeout: Duration | None = Field(default=None, description="The longest that one attempt may run")
    retries: int = Field(default=0, ge=0, le=30, description="Further attempts after a failure")

    @model_validator(mode="after")
    def _exclusive(self) -> StepSpec:
        if self.image is not None and self.framework is not None:
            raise ValueError("expected either framework or image, not both")
        variables.check(self.envs, self.secrets)
        return self

    @model_validator(mode="after")
    def _distinct(self) -> StepSpec:
        """Names become variables in upper case: CLOUDOPS_INPUT_X is both x and X."""
        for names in (self.inputs, self.outputs, self.params):
            seen: dict[str, str] = {}
            for name in names:
                if name in seen.values():
                    raise ValueError(f"expected each output once, not {name} twice")
                if (other := seen.setdefault(name.upper(), name)) != name:
                    raise ValueError(f"expected names that differ in more than case, not {other} and {name}")
        return self


class PrepareSpec(StepSpec):
    """The optional data step: its outputs are inputs of the others."""


class TrainSpec(StepSpec):
    """A training job. What it writes to ``CLOUDOPS_MODEL_DIR`` becomes a model version."""


class EvaluateSpec(StepSpec):
    """A job that measures a model (``${{inputs.model}}``) and a gate on what it measured."""

    model: Text | None = Field(default=None, description="The URI of a model version; by default the one just trained")
    require: dict[Text, Requirement] = Field(default={}, description='Metric to bound, such as auc: ">= 0.70"')

    @model_validator(mode="after")
    def _no_input_named_model(self) -> EvaluateSpec:
        if any(name.upper() == "MODEL" for name in self.inputs):
            raise ValueError("expected no input named model: ${{inputs.model}} is the model that is measured")
        return self


class Traffic(Strict):
    """How requests move from the live version to a new one."""

    canary: Share | None = Field(
        default=None, description="Share that the new version gets first; all at once without it"
    )
    bake: Duration | None = Field(default=None, description="How long the new version is watched at that share")

    @model_validator(mode="after")
    def _together(self) -> Traffic:
        if (self.canary is None) != (self.bake is None):
            raise ValueError("expected canary and bake together, such as {canary: 10%, bake: 5m}")
        if self.canary is not None and not 0 < self.canary < 1:
            raise ValueError("expected a canary between 0% and 100%, both excluded")
        return self


class Capture(Strict):
    """Which requests are kept, with their predictions, for monitoring."""

    sample: Share = Field(
        default=1.0, description="Share of the requests that are kept", json_schema_extra=_shown("100%")
    )


class ServedSpec(Strict):
    """What predicts: a model version, in an environment, on a machine."""

    model: Text | None = Field(
        default=None, description="Model version URI or a folder; by default the one just trained"
    )
    predictor: Text | None = Field(
        default=None, description="A file with load(model_dir) and predict(model, instances)"
    )
    framework: Framework | None = Field(default=None, description="By default that of the training")
    image: Text | None = Field(default=None, description="A container image instead of a framework")
    requirements: Text | None = Field(default=None, description="By default those of the training")
    envs: dict[EnvName, Value] = Field(default={}, description="Environment variables of what predicts")
    secrets: list[EnvName] = Field(default=[], description="Names only; the values come from the caller's environment")
    resources: ReplicaResources = Field(default_factory=ReplicaResources, description="The machine that predicts")

    @model_validator(mode="after")
    def _environment(self) -> ServedSpec:
        if self.image is not None and self.framework is not None:
            raise ValueError("expected either framework or image, not both")
        variables.check(self.envs, self.secrets, free=variables.SERVING)
        return self


class BatchSpec(ServedSpec):
    """Predictions for a whole table, without an endpoint. The job's output ``predictions`` has one in each line."""

    data: Text = Field(description="The rows: a .jsonl, .csv or .parquet file, a folder or pattern of those, or a URI")
    label: Key | None = Field(default=None, description="The column of the table that is the truth and not a feature")


class DeploySpec(ServedSpec):
    """A model version behind an endpoint."""

    endpoint: Name = Field(description="The endpoint's name; deploying to it again updates it")
    min_replicas: int = Field(default=1, ge=0, le=1000, description="Replicas that are always there")
    max_replicas: int | None = Field(default=None, ge=1, le=1000, description="By default min_replicas: no scaling")
    traffic: Traffic = Field(default_factory=Traffic, description="How a new version takes over")
    readiness_timeout: Duration = Field(
        default=300.0, description="How long a new version may take to answer", json_schema_extra=_shown("5m")
    )
    capture: Capture | None = Field(default=None, description="Keep requests and predictions for monitoring")
    auth: Literal["none", "token"] | None = Field(
        default=None, description="By default what the provider does: see its page"
    )

    @model_validator(mode="after")
    def _bounds(self) -> DeploySpec:
        if self.max_replicas is not None and self.max_replicas < self.min_replicas:
            raise ValueError(f"expected max_replicas of at least min_replicas ({self.min_replicas})")
        return self


Threshold = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Probability = Annotated[float, Field(ge=0, le=1)]


class DriftChecks(Strict):
    """Bounds on the distance of each column from its reference; a column over one of them has drifted."""

    psi: Threshold | None = Field(default=0.2, description="Population stability index; null switches it off")
    ks: Probability | None = Field(default=None, description="Kolmogorov-Smirnov statistic, 0 to 1")
    js: Probability | None = Field(default=None, description="Jensen-Shannon distance, base 2, 0 to 1")
    chi2_pvalue: Probability | None = Field(default=None, description="Smallest p-value of the chi-squared test")
    significance: Probability | None = Field(
        default=0.001, description="A distance counts where chance brings it less often"
    )


class QualityChecks(Strict):
    """Bounds on the share of bad values in each column."""

    missing: Share | None = Field(default=None, description="Missing values")
    types: Share | None = Field(default=None, description="Values of another type than the reference's")
    range: Share | None = Field(default=None, description="Values outside the reference's range")
    new_categories: Share | None = Field(default=None, description="Values that the reference does not have")
    duplicates: Share | None = Field(default=None, description="Rows that repeat an earlier row")


class Checks(Strict):
    """What a monitored endpoint must hold."""

    drift: DriftChecks = Field(default_factory=DriftChecks, description="Bounds on distances; psi: 0.2 by default")
    quality: QualityChecks = Field(default_factory=QualityChecks, description="Bounds on shares of bad values")
    latency_p99: Duration | None = Field(
        default=None, description="The slowest that 99 % of the requests may be answered"
    )
    errors: Share | None = Field(default=None, description="Share of the requests that may fail on the server's side")


class MonitorSpec(Strict):
    """A check of an endpoint's traffic against a reference."""

    endpoint: Text | None = Field(
        default=None, description="The endpoint's URI or name; by default the one just deployed"
    )
    reference: Text | None = Field(
        default=None, description="A table of what the model was trained on; none: no drift checks"
    )
    label: Key | None = Field(default=None, description="The column of the tables that is the truth and not a feature")
    window: Duration | None = Field(
        default=None, description="How far back captured requests are read; 1d where nothing is replayed"
    )
    checks: Checks = Field(default_factory=Checks, description="What must hold")
    replay: dict[Key, Text] = Field(default={}, description="Label to table: rows sent as live traffic, in turn")

    @model_validator(mode="after")
    def _does_something(self) -> MonitorSpec:
        """A check that cannot be made must not look like one that was passed."""
        checks = self.checks
        if self.reference is None:
            drift = ["drift"] if "drift" in checks.model_fields_set and _on(checks.drift, _DISTANCES) else []
            if asked := drift + [f"quality.{name}" for name in _on(checks.quality, _COMPARED)]:
                raise ValueError(f"expected a reference, which checks.{asked[0]} compares with")
        compared = self.reference is not None and _on(checks.drift, _DISTANCES)
        if not (compared or _on(checks.quality, QualityChecks.model_fields) or _on(checks, ("latency_p99", "errors"))):
            raise ValueError("expected something to check: a reference, or checks such as {errors: 1%}")
        if self.replay and self.window is not None:
            raise ValueError("expected either window or replay: what is replayed is checked as a whole")
        return self


_DISTANCES = ("psi", "ks", "js", "chi2_pvalue")
_COMPARED = ("types", "range", "new_categories")


def _on(checks: BaseModel, names: Iterable[str]) -> list[str]:
    """Those of the checks that are switched on."""
    return [name for name in names if getattr(checks, name) is not None]


class TargetSpec(BaseModel):
    """A named place to run: a provider and that provider's own settings, which the provider validates."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    provider: Text = Field(description="The name of an installed provider")


class Project(Strict):
    """The content of ``cloudops.yaml``."""

    name: Name = Field(description="The project's name; part of the name of everything it creates")
    provider: Text = Field(default="local", description="Where to run: the name of an installed provider")
    target: Text | None = Field(default=None, description="The named target to use instead of provider")
    targets: dict[TargetName, TargetSpec] = Field(default={}, description="Named places: a provider and its settings")
    prepare: PrepareSpec | None = Field(default=None, description="A data step")
    train: TrainSpec | None = Field(default=None, description="A training job")
    evaluate: EvaluateSpec | None = Field(default=None, description="A measurement of the model, and a gate")
    batch: BatchSpec | None = Field(default=None, description="Predictions for a whole table")
    deploy: DeploySpec | None = Field(default=None, description="An endpoint")
    monitor: MonitorSpec | None = Field(default=None, description="A check of the endpoint's traffic")
    overrides: dict[str, dict[str, Any]] = Field(default={}, description="Provider to its own options; not portable")


#: The model that evaluate measures and deploy serves where they name none.
TRAINED = "${{train.model}}"
#: The steps of a project, in the order in which ``cloudops run`` takes them.
STEPS = ("prepare", "train", "evaluate", "batch", "deploy", "monitor")
