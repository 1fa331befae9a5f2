"""References between steps."""

from __future__ import annotations

from typing import Any

import pytest

from cloudops import references
from cloudops.specs import Project

from .documents import FULL
from .loading import accepted


def test_references_are_found_and_filled() -> None:
    text = "python t.py --data ${{inputs.train}} --lr ${{ params.lr }} ${{inputs.train}}"
    assert references.names(text) == ["inputs.train", "params.lr", "inputs.train"]
    filled = references.fill(text, {"inputs.train": "/d ata", "params.lr": "${{x}}"})
    assert filled == "python t.py --data /d ata --lr ${{x}} /d ata"


def test_a_reference_without_a_value_is_not_passed_over() -> None:
    with pytest.raises(KeyError, match=r"params\.lr"):
        references.fill("${{params.lr}}", {})


@pytest.mark.usefixtures("folder")
def test_a_full_project_has_no_problem() -> None:
    assert list(references.problems(accepted(FULL).project)) == []


STEPS: dict[str, dict[str, Any]] = {
    "prepare": {"command": "p", "inputs": {"raw": "r"}, "outputs": ["clean"], "params": {"n": 1}},
    "train": {"command": "t", "inputs": {"data": "d"}, "outputs": ["extra"], "params": {"lr": 0.1}},
    "evaluate": {"command": "e", "inputs": {"test": "t"}, "outputs": ["plots"], "params": {"k": 1}},
    "deploy": {"endpoint": "x"},
    "monitor": {"reference": "r"},
}
BEFORE = {
    "prepare": set(),
    "train": {"prepare.outputs.clean"},
    "evaluate": {"prepare.outputs.clean", "train.outputs.extra", "train.model"},
    "monitor": {"prepare.outputs.clean", "train.outputs.extra", "evaluate.outputs.plots", "train.model", "inputs.data"},
}
OWN = {
    "prepare": {"inputs.raw", "outputs.clean", "params.n"},
    "train": {"inputs.data", "outputs.extra", "params.lr"},
    "evaluate": {"inputs.test", "inputs.model", "outputs.plots", "params.k"},
}
EVERY = sorted(set().union(*BEFORE.values(), *OWN.values()))
#: Each place that may hold references, with those that may stand there: the table in the module's docstring.
PLACES = [
    *((step, "command", None, OWN[step]) for step in OWN),
    *((step, "inputs", "x", BEFORE[step]) for step in OWN),
    ("evaluate", "model", None, {"train.model"}),
    ("deploy", "model", None, {"train.model"}),
    ("monitor", "reference", None, BEFORE["monitor"]),
    ("monitor", "replay", "june", BEFORE["monitor"]),
    ("train", "code", None, set()),
    ("train", "image", None, set()),
    ("train", "requirements", None, set()),
    ("train", "params", "x", set()),
    ("train", "envs", "X", set()),
    ("deploy", "predictor", None, set()),
    ("deploy", "envs", "X", set()),
    ("monitor", "endpoint", None, set()),
]


def _problems(step: str, field: str, key: str | None, value: str) -> list[tuple[object, str]]:
    changed = {**STEPS[step].get(field, {}), key: value} if key else value
    project = Project.model_validate({"name": "x", **STEPS, step: {**STEPS[step], field: changed}})
    return list(references.problems(project))


@pytest.mark.parametrize(("step", "field", "key", "allowed"), PLACES)
@pytest.mark.parametrize("name", EVERY)
def test_a_reference_stands_where_it_may(step: str, field: str, key: str | None, allowed: set[str], name: str) -> None:
    found = _problems(step, field, key, f"a ${{{{ {name} }}}} b")
    if name in allowed:
        assert found == []
    else:
        [(place, message)] = found
        assert place == ((step, field, key) if key else (step, field))
        assert f"${{{{{name}}}}} leads nowhere" in message


def test_each_wrong_reference_of_a_text_is_told() -> None:
    project = Project.model_validate({"name": "x", "train": {"command": "${{a}} ${{b}}"}})
    assert [message.split()[2] for _, message in references.problems(project)] == ["${{a}}", "${{b}}"]


def test_the_providers_own_settings_are_not_looked_at() -> None:
    data = {
        "name": "x",
        "overrides": {"azureml": {"x": "${{inputs.y}}"}},
        "targets": {"a": {"provider": "p", "x": "${{"}},
    }
    assert list(references.problems(Project.model_validate(data))) == []
