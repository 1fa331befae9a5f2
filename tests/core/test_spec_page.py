"""docs/spec.md describes every key with its default, and its example is a project file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from cloudops import references, specs
from cloudops.specs import EvaluateSpec, PrepareSpec, Project, StepSpec, TrainSpec

from .loading import accepted

PAGE = (Path(__file__).parents[2] / "docs" / "spec.md").read_text(encoding="utf-8")
SECTIONS: dict[str, str] = dict(re.findall(r"^#+ ([^\n]+)\n(.*?)(?=^#+ |\Z)", PAGE, re.MULTILINE | re.DOTALL))
DOCUMENTED: dict[str, type[BaseModel]] = {
    "The file": Project,
    "Steps": StepSpec,
    "resources": specs.Resources,
    "evaluate": EvaluateSpec,
    "batch": specs.BatchSpec,
    "deploy": specs.DeploySpec,
    "resources of a replica": specs.ReplicaResources,
    "traffic": specs.Traffic,
    "capture": specs.Capture,
    "monitor": specs.MonitorSpec,
    "checks": specs.Checks,
    "drift": specs.DriftChecks,
    "quality": specs.QualityChecks,
    "targets": specs.TargetSpec,
}


def rows(title: str) -> dict[str, tuple[str, ...]]:
    """Key to the other cells of the table in a section."""
    found = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", SECTIONS[title], re.MULTILINE)
    return {key: tuple(cell.strip() for cell in cells) for key, *cells in found}


def fields(model: type[BaseModel]) -> dict[str, Any]:
    """A model's own fields; those that all steps share stand in one table."""
    shared = set(StepSpec.model_fields) if issubclass(model, StepSpec) and model is not StepSpec else set()
    return {name: field for name, field in model.model_fields.items() if name not in shared}


def shown_default(model: type[BaseModel], name: str) -> str:
    field = model.model_fields[name]
    if field.is_required():
        return "required"
    extra = field.json_schema_extra
    value = extra["default"] if isinstance(extra, dict) else field.get_default(call_default_factory=True)
    if value is None:
        return "none"
    if isinstance(value, BaseModel):
        given = value.model_dump(exclude_unset=True)
        return "`{" + ", ".join(f"{key}: {inner}" for key, inner in given.items()) + "}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


@pytest.mark.parametrize("title", DOCUMENTED)
def test_every_key_is_there_with_its_default(title: str) -> None:
    model = DOCUMENTED[title]
    assert {key: cells[1] for key, cells in rows(title).items()} == {
        name: shown_default(model, name) for name in fields(model)
    }


def test_every_model_is_documented() -> None:
    models = {v for v in vars(specs).values() if isinstance(v, type) and issubclass(v, BaseModel)}
    models = {model for model in models if model.__module__ == specs.__name__}
    assert models - set(DOCUMENTED.values()) == {specs.Strict, specs.ServedSpec, PrepareSpec, TrainSpec}
    assert fields(PrepareSpec) == fields(TrainSpec) == {}


@pytest.mark.usefixtures("folder")
def test_the_example_is_a_project_file() -> None:
    [example] = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    project = accepted(example).project
    assert {step for step in specs.STEPS if getattr(project, step) is not None} == set(specs.STEPS)
    assert yaml.safe_load(example)["overrides"]


NOTATIONS: dict[str, tuple[type[BaseModel], str]] = {
    "amount": (specs.Resources, "cpus"),
    "accelerators": (specs.Resources, "accelerators"),
    "duration": (specs.Checks, "latency_p99"),
    "share": (specs.QualityChecks, "missing"),
    "bound": (EvaluateSpec, "require"),
    "name": (specs.DeploySpec, "endpoint"),
    "key": (specs.MonitorSpec, "label"),
}


@pytest.mark.parametrize("notation", NOTATIONS)
def test_the_examples_of_a_notation_are_what_they_are_said_to_be(notation: str) -> None:
    model, name = NOTATIONS[notation]
    [cells] = re.findall(rf"^\| {notation} \|(.+)\|$", SECTIONS["Notation"], re.MULTILINE)
    right, wrong = (re.findall(r"`([^`]+)`", cell) for cell in cells.split("|")[1:3])
    assert right
    assert wrong
    base = {EvaluateSpec: {"command": "x"}, specs.MonitorSpec: {"reference": "x"}}.get(model, {})

    def validate(text: str) -> None:
        value = yaml.safe_load(text)
        given = {"metric": value} if name == "require" else value
        model.model_validate({**base, name: given}, context=specs.FROM_FILE)

    for text in right:
        validate(text)
    for text in wrong:
        with pytest.raises(ValueError):
            validate(text)


def test_the_table_of_references_is_that_of_the_module() -> None:
    """The places are the same; test_references tries each of them."""
    docstring = references.__doc__ or ""
    places = re.findall(r"^``([^`]+)``", docstring, re.MULTILINE)
    assert len(places) == 8
    for place in places:
        assert f"`{place}`" in SECTIONS["References"]


def test_links_inside_the_page_lead_somewhere() -> None:
    anchors = {title.lower().replace(" ", "-") for title in SECTIONS}
    assert set(re.findall(r"\]\(#([^)]+)\)", PAGE)) <= anchors
