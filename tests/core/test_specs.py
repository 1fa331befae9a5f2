"""The models of what is to be done: strict, frozen, and the same as their JSON schema."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel, ValidationError

from cloudops import specs
from cloudops.quantities import Accelerators, Amount, Requirement
from cloudops.specs import (
    Checks,
    DeploySpec,
    DriftChecks,
    EvaluateSpec,
    MonitorSpec,
    PrepareSpec,
    Project,
    Strict,
    TargetSpec,
    Traffic,
    TrainSpec,
)

from .documents import FULL, SMALL

ROOT = Path(__file__).parents[2]
MODELS = sorted(
    (value for value in vars(specs).values() if isinstance(value, type) and issubclass(value, BaseModel)),
    key=lambda model: model.__name__,
)
MODELS = [model for model in MODELS if model.__module__ == specs.__name__]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_model_is_frozen_and_strict(model: type[BaseModel]) -> None:
    assert model.model_config.get("frozen")
    assert model.model_config.get("strict")
    assert model.model_config.get("extra") == ("allow" if model is TargetSpec else "forbid")
    assert issubclass(model, Strict) or model is TargetSpec


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_is_described(model: type[BaseModel]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_a_spec_cannot_be_changed() -> None:
    spec = TrainSpec(command="x")
    with pytest.raises(ValidationError):
        spec.command = "y"  # type: ignore[misc]


def test_types_are_not_converted() -> None:
    for wrong in ({"retries": "1"}, {"retries": True}, {"retries": 1.0}, {"envs": {"A": 1}}, {"outputs": ("a",)}):
        with pytest.raises(ValidationError):
            TrainSpec.model_validate({"command": "x", **wrong})


def test_parameters_keep_their_types() -> None:
    given = {"s": "1", "b": True, "i": 1, "f": 1.0, "n": None}
    params = TrainSpec.model_validate({"command": "x", "params": given}).params
    assert {key: (type(value), value) for key, value in params.items()} == {
        key: (type(value), value) for key, value in given.items()
    }


def test_a_spec_comes_back_from_its_json() -> None:
    project = Project.model_validate(yaml.safe_load(FULL))
    again = Project.model_validate_json(project.model_dump_json())
    assert again == project
    assert Project.model_validate(json.loads(json.dumps(project.model_dump(mode="json")))) == project


def test_quantities_are_values() -> None:
    project = Project.model_validate(yaml.safe_load(FULL))
    assert project.train is not None
    assert project.deploy is not None
    assert project.evaluate is not None
    assert project.train.resources.cpus == Amount(4, at_least=True)
    assert project.train.resources.accelerators == Accelerators("T4", 1)
    assert project.train.timeout == 7200
    assert project.deploy.traffic.canary == 0.1
    assert project.evaluate.require == {"auc": Requirement(">=", 0.7), "loss": Requirement("<", 0.1)}


def test_python_code_passes_what_the_annotations_say_or_the_notation() -> None:
    """In a file a bare number is refused: see test_config_mistakes."""
    assert TrainSpec(command="x", timeout=90.0).timeout == 90
    assert TrainSpec.model_validate({"command": "x", "timeout": "90s"}).timeout == 90
    assert Traffic(canary=0.1, bake=300).canary == 0.1
    for wrong in (-1.0, 0.0, float("nan"), float("inf"), True, 1e10):
        with pytest.raises(ValidationError):
            TrainSpec(command="x", timeout=wrong)
    for wrong in (-0.1, 1.1, float("nan"), True):
        with pytest.raises(ValidationError):
            specs.Capture(sample=wrong)


def test_defaults() -> None:
    assert Checks().drift == DriftChecks(psi=0.2, significance=0.001)
    assert DriftChecks(ks=0.1).psi == 0.2
    assert DeploySpec(endpoint="x").readiness_timeout == 300
    assert MonitorSpec(reference="x").window is None
    assert PrepareSpec(command="x").code == "."


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "something to check"),
        ({"replay": {"june": "x.csv"}}, "something to check"),
        ({"reference": "x.csv", "checks": {"drift": {"psi": None}}}, "something to check"),
        ({"checks": {"drift": {"psi": 0.2}}}, "a reference, which checks.drift compares with"),
        ({"checks": {"quality": {"range": "1%"}}}, "a reference, which checks.quality.range compares with"),
        ({"reference": "x.csv", "window": "2d", "replay": {"june": "x.csv"}}, "either window or replay"),
    ],
)
def test_a_check_that_would_not_be_made_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MonitorSpec.model_validate(given)


@pytest.mark.parametrize(
    "given",
    [
        {"reference": "x.csv"},
        {"reference": "x.csv", "checks": {"drift": {"significance": 0.01}}},
        {"reference": "x.csv", "checks": {"drift": {"psi": None}, "quality": {"types": "1%"}}},
        {"checks": {"quality": {"missing": "1%"}}},
        {"checks": {"errors": "1%"}},
        {"checks": {"drift": {"psi": None}, "latency_p99": "1s"}},
    ],
)
def test_a_check_that_can_be_made_is_accepted(given: dict[str, Any]) -> None:
    MonitorSpec.model_validate(given)


def test_two_specs_share_no_default() -> None:
    first = TrainSpec(command="x")
    first.inputs["a"] = "b"
    assert TrainSpec(command="x").inputs == {}


@pytest.mark.parametrize("field", ["ks", "js", "chi2_pvalue", "significance"])
def test_what_is_a_share_of_one_is_bounded(field: str) -> None:
    assert getattr(DriftChecks.model_validate({field: 1}), field) == 1
    for wrong in (-0.1, 1.1, float("nan"), float("inf"), "1"):
        with pytest.raises(ValidationError):
            DriftChecks.model_validate({field: wrong})


def test_the_index_has_no_upper_bound() -> None:
    assert DriftChecks(psi=8).psi == 8
    for wrong in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValidationError):
            DriftChecks(psi=wrong)


def test_an_evaluation_has_the_model_as_an_input_of_its_own() -> None:
    with pytest.raises(ValidationError, match="no input named model"):
        EvaluateSpec(command="x", inputs={"model": "m"})


def printed_schema() -> dict[str, Any]:
    command = [str(Path(sys.executable).with_name("cloudops")), "schema"]
    printed: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, timeout=60).stdout)
    return printed


def test_the_printed_schema_is_that_of_the_models() -> None:
    schema = printed_schema()
    assert schema.pop("$schema") == "https://json-schema.org/draft/2020-12/schema"
    assert schema == Project.model_json_schema()


def _parts(schema: Any) -> list[dict[str, Any]]:
    """Every schema inside ``schema`` that has properties or patterns of keys."""
    inside = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else []
    found = [schema] if isinstance(schema, dict) and {"properties", "patternProperties"} & schema.keys() else []
    return found + [part for child in inside for part in _parts(child)]


def test_the_schema_refuses_unknown_keys_everywhere() -> None:
    parts = _parts(Project.model_json_schema())
    assert len(parts) > 20
    open_ones = [part.get("title") for part in parts if part.get("additionalProperties") is not False]
    assert open_ones == ["TargetSpec"]


def test_the_schema_shows_defaults_in_the_notation_of_the_file() -> None:
    definitions = Project.model_json_schema()["$defs"]
    assert definitions["DeploySpec"]["properties"]["readiness_timeout"]["default"] == "5m"
    assert definitions["Capture"]["properties"]["sample"]["default"] == "100%"


#: What both the models and the schema refuse. What only the models see (such as canary without bake) is not here.
WRONG = [
    {"train": {"comand": "x"}},
    {"train": {}},
    {"train": {"command": ""}},
    {"train": {"command": "x", "timeout": 5}},
    {"train": {"command": "x", "timeout": "5 hours"}},
    {"train": {"command": "x", "retries": -1}},
    {"train": {"command": "x", "inputs": {"a b": "c"}}},
    {"train": {"command": "x", "framework": "sklearn"}},
    {"train": {"command": "x", "resources": {"memory": "16GB"}}},
    {"train": {"command": "x", "resources": {"accelerators": 8}}},
    {"train": {"command": "x", "params": {"a": []}}},
    {"train": {"command": "x", "outputs": "data"}},
    {"evaluate": {"command": "x", "require": {"auc": 0.7}}},
    {"deploy": {}},
    {"deploy": {"endpoint": "A_b"}},
    {"deploy": {"endpoint": "a", "auth": "secret"}},
    {"deploy": {"endpoint": "a", "capture": {"sample": 0.1}}},
    {"monitor": {"checks": {"drift": {"ks": 2}}}},
    {"monitor": {"checks": {"quality": {"missing": 0.1}}}},
    {"targets": {"a": {}}},
    {"targets": {"1": {"provider": "x"}}},
    {"overrides": {"a": 5}},
    {"name": "X"},
]


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_what_the_schema_refuses_the_models_refuse(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Project.model_validate({"name": "x", **wrong}, context=specs.FROM_FILE)


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_the_schema_refuses_what_the_models_refuse(wrong: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "x", **wrong}, Project.model_json_schema())


EXAMPLES = sorted((ROOT / "examples").rglob("cloudops.yaml"))


@pytest.mark.parametrize("text", [FULL, SMALL, *(path.read_text(encoding="utf-8") for path in EXAMPLES)])
def test_the_schema_accepts_what_the_models_accept(text: str) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    data = yaml.safe_load(text)
    Project.model_validate(data, context=specs.FROM_FILE)
    jsonschema.validate(data, Project.model_json_schema())
