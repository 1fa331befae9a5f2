"""Layers of the configuration: who wins, and where each value comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cloudops.config import Config, load
from cloudops.errors import ConfigError

from .documents import FULL, SMALL
from .loading import accepted, refused

pytestmark = pytest.mark.usefixtures("folder")

TARGETS = SMALL + "targets:\n  prod: {provider: sagemaker, region: eu-west-1}\n  test: {provider: vertex}\n"


def origin_of(config: Config, key: str) -> str:
    return {key: origin for key, _, origin in config.values()}[key]


def test_every_value_has_its_layer() -> None:
    config = accepted(SMALL + "  params: {lr: 0.1}\n", assignments=["train.params.lr=0.2", "train.timeout=2h"])
    values = {key: (value, origin) for key, value, origin in config.values()}
    assert values["name"] == ("x", "cloudops.yaml:1")
    assert values["train.command"] == ("python train.py", "cloudops.yaml:3")
    assert values["train.params.lr"] == (0.2, "--set")
    assert values["train.timeout"] == ("2h", "--set")
    assert values["train.code"] == (".", "default")
    assert values["provider"] == ("local", "default")


def test_values_are_in_the_notation_of_the_file() -> None:
    values = {key: value for key, value, _ in accepted(FULL).values()}
    assert values["train.resources.cpus"] == "4+"
    assert values["train.resources.accelerators"] == "T4:1"
    assert values["deploy.traffic.canary"] == "10%"
    assert values["deploy.readiness_timeout"] == "5m"
    assert values["monitor.checks.latency_p99"] == "200ms"
    assert values["evaluate.require.loss"] == "< 0.1"


def test_values_say_where_each_line_of_the_file_went() -> None:
    lines = FULL.splitlines()
    for key, _, origin in accepted(FULL).values():
        if origin.startswith("cloudops.yaml:") and "(from train)" not in origin:
            number = int(origin.rpartition(":")[2])
            assert key.rpartition(".")[2].partition("[")[0] in lines[number - 1], (key, origin)


def test_relative_paths_start_at_the_file(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "cloudops.yaml").write_text(SMALL)
    config = load("sub/cloudops.yaml", environ={})
    assert config.root == folder / "sub"
    assert origin_of(config, "name") == "sub/cloudops.yaml:1"


def test_the_environment_names_the_file(folder: Path) -> None:
    (folder / "other.yaml").write_text(SMALL)
    assert load(environ={"CLOUDOPS_FILE": "other.yaml"}).path == Path("other.yaml")
    with pytest.raises(ConfigError, match=r"^named\.yaml: no such file"):
        load("named.yaml", environ={"CLOUDOPS_FILE": "other.yaml"})


@pytest.mark.parametrize(
    ("text", "layers", "provider", "origin"),
    [
        (SMALL, {}, "local", "default"),
        (SMALL + "provider: vertex", {}, "vertex", "cloudops.yaml:4"),
        (SMALL + "provider: vertex", {"environ": {"CLOUDOPS_PROVIDER": "azureml"}}, "azureml", "CLOUDOPS_PROVIDER"),
        (SMALL, {"environ": {"CLOUDOPS_PROVIDER": ""}}, "local", "default"),
        (SMALL, {"environ": {"CLOUDOPS_PROVIDER": "azureml"}, "provider": "vertex"}, "vertex", "--provider"),
        (SMALL, {"environ": {"CLOUDOPS_PROVIDER": "azureml"}, "assignments": ["provider=vertex"]}, "vertex", "--set"),
        (SMALL, {"assignments": ["provider=azureml"], "provider": "vertex"}, "vertex", "--provider"),
        (TARGETS + "target: prod", {}, "sagemaker", "cloudops.yaml:5"),
        (TARGETS + "target: prod", {"target": "test"}, "vertex", "cloudops.yaml:6"),
        (TARGETS, {"target": "prod"}, "sagemaker", "cloudops.yaml:5"),
        (TARGETS, {"environ": {"CLOUDOPS_TARGET": "prod"}}, "sagemaker", "cloudops.yaml:5"),
        (TARGETS, {"assignments": ["target=prod"]}, "sagemaker", "cloudops.yaml:5"),
        (TARGETS + "target: prod", {"assignments": ["target="]}, "local", "default"),
        (TARGETS, {"assignments": ["targets.prod.provider=azureml"], "target": "prod"}, "azureml", "--set"),
        (TARGETS, {"assignments": ["targets.new.provider=azureml"], "target": "new"}, "azureml", "--set"),
        # A nearer layer that names a provider is not overruled by a target farther away, and the other way round.
        (TARGETS + "target: prod", {"provider": "azureml"}, "azureml", "--provider"),
        (TARGETS + "target: prod", {"environ": {"CLOUDOPS_PROVIDER": "azureml"}}, "azureml", "CLOUDOPS_PROVIDER"),
        (TARGETS + "target: prod", {"assignments": ["provider=azureml"]}, "azureml", "--set"),
        (TARGETS, {"environ": {"CLOUDOPS_TARGET": "prod"}, "provider": "azureml"}, "azureml", "--provider"),
        (TARGETS, {"environ": {"CLOUDOPS_TARGET": "prod"}, "assignments": ["provider=a"]}, "a", "--set"),
        (TARGETS + "provider: azureml", {"target": "prod"}, "sagemaker", "cloudops.yaml:5"),
        (TARGETS, {"environ": {"CLOUDOPS_PROVIDER": "azureml"}, "target": "prod"}, "sagemaker", "cloudops.yaml:5"),
        (
            TARGETS,
            {"environ": {"CLOUDOPS_PROVIDER": "a"}, "assignments": ["target=prod"]},
            "sagemaker",
            "cloudops.yaml:5",
        ),
    ],
)
def test_the_nearer_layer_chooses_the_provider(text: str, layers: dict[str, Any], provider: str, origin: str) -> None:
    config = accepted(text, **layers)
    assert (config.provider, config.origin(("provider",))) == (provider, origin)
    assert config.target_settings == ({"region": "eu-west-1"} if config.project.target == "prod" else {})


@pytest.mark.parametrize(
    ("text", "layers", "line"),
    [
        (
            TARGETS + "provider: a\ntarget: prod",
            {},
            "cloudops.yaml:8: target: cloudops.yaml:7 sets provider too; a target",
        ),
        (
            SMALL + "deploy: {endpoint: x, traffic: {canary: 10%, bake: 5m}}",
            {"assignments": ["deploy.traffic.canary=100%"]},
            "--set: deploy.traffic: expected a canary between 0% and 100%",
        ),
        (SMALL + "deploy: {traffic: {}}", {"assignments": ["deploy.auth=token"]}, "cloudops.yaml:4: deploy: the key"),
        (TARGETS, {"provider": "a", "target": "prod"}, "--provider and --target are both set; a target names its"),
        (
            TARGETS,
            {"environ": {"CLOUDOPS_PROVIDER": "a", "CLOUDOPS_TARGET": "b"}},
            "CLOUDOPS_PROVIDER and CLOUDOPS_TARGET",
        ),
        (
            TARGETS,
            {"assignments": ["provider=a", "target=prod"]},
            "--set: target: --set sets provider too; a target names",
        ),
        (TARGETS + "target: prd", {}, "cloudops.yaml:7: target: 'prd' is not a key of targets; did you mean 'prod'?"),
        (
            TARGETS,
            {"target": "zzz"},
            "--target: target: 'zzz' is not a key of targets; targets of this file: prod, test",
        ),
        (
            TARGETS,
            {"environ": {"CLOUDOPS_TARGET": "prd"}},
            "CLOUDOPS_TARGET: target: 'prd' is not a key of targets; did",
        ),
        (SMALL, {"target": "prod"}, "--target: target: 'prod' is not a key of targets; targets of this file: none"),
        (SMALL, {"provider": ""}, "--provider: provider: got '', expected a string that is not empty"),
        (SMALL, {"target": ""}, "--target: target: got '', expected a string that is not empty"),
        (SMALL + "provider: [a]", {}, "cloudops.yaml:4: provider: got a list, expected a string"),
        (
            SMALL + "targets: {" + ", ".join(f"t{i}: {{provider: a}}" for i in range(900)) + "}",
            {"target": "zz"},
            "--target",
        ),
    ],
)
def test_a_wrong_choice_is_one_line(text: str, layers: dict[str, Any], line: str) -> None:
    assert refused(text, **layers).startswith(line)


@pytest.mark.parametrize(
    ("assignment", "line"),
    [
        ("x", "--set 'x': expected KEY=VALUE, such as --set train.params.lr=0.2"),
        ("", "--set '': expected KEY=VALUE"),
        ("=1", "--set '=1': expected KEY=VALUE"),
        ("a..b=1", "--set 'a..b=1': expected KEY=VALUE"),
        ("train.=1", "--set 'train.=1': expected KEY=VALUE"),
        ("train.timeout=5", "--set: train.timeout: got 5, expected a duration with its unit"),
        ("train.timout=2h", "--set: train.timout: unknown key; did you mean 'timeout'?"),
        ("trian.timeout=2h", "--set: trian: unknown key; did you mean 'train'?"),
        ("train.params.lr=[", "--set train.params.lr: not valid YAML: expected a value here"),
        ("train.params=a: b: c", "--set train.params: not valid YAML: a ':' where no key can stand"),
        ("train.params={a: 1, a: 2}", "--set train.params: a: the key occurs twice"),
        ("train.params.lr=2020-01-01", "--set train.params.lr: YAML reads this as a date; quote it"),
        ("train.params.lr=.inf", "--set train.params.lr: '.inf' is not a finite number"),
        ("train.params.lr=&a [*a]", "--set train.params.lr: [0]: an alias that contains itself"),
        ("train.params.lr=" + "[" * 300_000, "--set train.params.lr: nested more than 32 levels deep"),
        ("train.command.x=5", "--set train.command.x: train.command is a string, so it has no keys; set it as a whole"),
        ("train.secrets.0=A", "--set train.secrets.0: train.secrets is a list, so it has no keys; set it as a whole"),
        ("train.envs.A=on", "--set: train.envs.A: got true, expected a string; quote it"),
        ("train.envs.A=\x1b", "--set train.envs.A: the character U+001B is not allowed in YAML"),
        ("train.envs.A=\udcff", "--set train.envs.A: not UTF-8 text"),
        ("train.envs.\x1b=x", "--set: train.envs.\\x1b: this key is not valid"),
        ("train.inputs.a=${{inputs.b}}", "--set: train.inputs.a: the reference ${{inputs.b}} leads nowhere"),
        ("name=", "--set: name: got nothing, expected a string"),
        ("train=5", "--set: train: got 5, expected a mapping of keys"),
    ],
)
def test_a_wrong_assignment_is_one_line(assignment: str, line: str) -> None:
    assert refused(SMALL + "  secrets: [A]\n", assignments=[assignment]).startswith(line)


def test_assignments_replace_and_add() -> None:
    project = accepted(
        SMALL + "  params: {a: 1, b: 2}\n",
        assignments=[
            "train.params.a=1e-3",
            "train.envs={X: y}",
            "deploy.endpoint=e",
            "train.params.c=a=b",
            "train.retries=3",
        ],
    ).project
    assert project.train is not None
    assert project.deploy is not None
    assert project.train.params == {"a": 1e-3, "b": 2, "c": "a=b"}
    assert project.train.envs == {"X": "y"}
    assert project.train.retries == 3
    assert project.deploy.endpoint == "e"


def test_the_last_of_two_assignments_wins() -> None:
    config = accepted(SMALL, assignments=["train.params.a=1", "train.params={b: 2}", "train.params.c=3"])
    assert config.project.train is not None
    assert config.project.train.params == {"b": 2, "c": 3}
    assert "train.params.a" not in {key for key, _, _ in config.values()}


INHERITED = """\
name: x
train:
  command: t
  code: src
  framework: sklearn@1.7
  requirements: r.txt
prepare: {command: p}
evaluate: {command: e, image: i, code: other}
"""


def test_steps_take_code_and_environment_of_train() -> None:
    config = accepted(INHERITED)
    prepare, evaluate = config.project.prepare, config.project.evaluate
    assert prepare is not None
    assert evaluate is not None
    assert (prepare.code, prepare.framework, prepare.requirements) == ("src", "sklearn@1.7", "r.txt")
    assert (evaluate.code, evaluate.framework, evaluate.image) == ("other", None, "i")
    assert evaluate.requirements == "r.txt"
    assert origin_of(config, "prepare.code") == "cloudops.yaml:4 (from train)"
    assert origin_of(config, "evaluate.code") == "cloudops.yaml:8"


def test_steps_take_what_a_flag_gives_train() -> None:
    config = accepted(INHERITED, assignments=["train.code=new"])
    assert config.project.prepare is not None
    assert config.project.prepare.code == "new"
    assert origin_of(config, "prepare.code") == "--set (from train)"


def test_without_train_a_step_stands_alone() -> None:
    config = accepted("name: x\nprepare: {command: p}\n")
    assert config.project.prepare is not None
    assert config.project.prepare.code == "."


def test_a_mistake_that_is_inherited_is_shown_once_with_its_line() -> None:
    assert refused(INHERITED.replace("code: src", "code: 5")).startswith("cloudops.yaml:4")
