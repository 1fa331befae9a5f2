"""Every command: its help, its JSON, its mistakes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cloudops.cli.main import SECTIONS

from .conftest import CLI, Project

COMMANDS = [name for commands in SECTIONS.values() for name in commands]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_suffices(command: str, project: Project) -> None:
    text = project.run(command, "--help").stdout
    assert text.startswith(f"Usage: cloudops {command}")
    assert len(text.splitlines()) > 5


def test_every_command_takes_output_json(project: Project) -> None:
    project.run("run")
    plain = ["check", "plan", "schema", "providers", "jobs", "models", "endpoints", "status", "logs", "metrics", "wait"]
    for command in [*plain, "traffic", "monitor", "cancel"]:
        json.loads(project.run(command, "-o", "json").stdout)
    assert {row["key"] for row in project.json("config", "show")} >= {"name", "provider", "train.command"}


def test_predict_reads_json_csv_parquet_and_stdin(project: Project, tmp_path: Path) -> None:
    import polars as pl

    project.run("run")
    frame = pl.DataFrame({"x": [1, 2, 3]})
    frame.write_csv(tmp_path / "rows.csv")
    frame.write_parquet(tmp_path / "rows.parquet")
    (tmp_path / "rows.json").write_text('[{"x": 1}, {"x": 2}, {"x": 3}]')
    for suffix in ("csv", "parquet", "json"):
        assert project.json("predict", "--data", str(tmp_path / f"rows.{suffix}"))["predictions"] == [2, 4, 6]
    assert project.run("predict", "--data", "-", stdin='[{"x": 1}]').stdout == "2\n"
    assert project.run("predict", "--data", "-", "--format", "csv", stdin="x\n1\n5\n").stdout == "2\n10\n"
    assert project.run("predict", "--data", "-", "--format", "jsonl", stdin='{"x": 1}\n{"x": 4}\n').stdout == "2\n8\n"

    for arguments, message in [
        (["--data", "none.csv"], "none.csv"),
        (["--row", "{x}"], "not JSON"),
        ([], "expected rows"),
    ]:
        assert message in project.run("predict", *arguments, code=2).stderr
    refused = project.run("predict", "--row", '{"y": 1}', code=3)
    assert "KeyError" in refused.stderr or "500" in refused.stderr


def test_predict_prints_what_the_model_says_and_reads_standard_input_as_a_file(project: Project) -> None:
    (project.folder / "src" / "predictor.py").write_text(
        "def load(m): ...\ndef predict(m, instances): return instances\n"
    )
    project.run("run", "--set", "deploy.capture=null", "--set", "monitor=null")
    table = "who,day\nZoë,2024-01-02\n"
    (project.folder / "rows.csv").write_text(table)
    of_file = project.run("predict", "--data", "rows.csv").stdout
    assert of_file == '{"who": "Zoë", "day": "2024-01-02"}\n'
    assert project.run("predict", "--data", "-", "--format", "csv", stdin=table).stdout == of_file
    (project.folder / "rows.csv").write_text("")
    assert "there is no row to send" in project.run("predict", "--data", "rows.csv", code=2).stderr
    assert "there is no row" in project.run("predict", "--data", "-", "--format", "csv", stdin="", code=2).stderr


def test_plan_creates_nothing_and_shows_the_native_request(project: Project) -> None:
    plan = project.json("plan")
    assert set(plan) == {"train", "evaluate", "deploy"}
    assert plan["train"]["native"]["argv"][2] == "train"
    assert plan["train"]["cost"] == "no charge: this machine"
    assert plan["train"]["exists"] is None
    assert project.json("jobs") == []
    project.run("train")
    assert project.json("plan")["train"]["exists"].startswith("cloudops://local/")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  command: python train.py", "  comand: python train.py", "cloudops.yaml:4: train.comand: unknown key"),
        ("  code: src", "  code: source", "cloudops.yaml:3: train.code: 'source' does not exist"),
        ("reference.csv", "refrence.csv", "monitor.reference: 'refrence.csv' does not exist"),
        ("name: small", "name: small\nprovider: sagemakr", "cloudops.yaml:2: provider: the provider 'sagemakr'"),
        ("predictor: src/predictor.py", "predictor: src", "'src' is a folder, expected a file"),
        ("  envs:", "  image: ubuntu\n  envs:", "cloudops.yaml:6: train.image: local has no image"),
        ("  envs:", "  resources: {instance_type: ml.m5.large}\n  envs:", "local has no instance type"),
        ("  envs:", "  resources: {accelerators: T4}\n  envs:", "train.resources.accelerators: "),
        ("  envs:", "  resources: {cpus: 4096+}\n  envs:", "cloudops.yaml:6: train.resources.cpus: asks for 4096+"),
        ("  envs:", "  resources: {memory: 999999}\n  envs:", "train.resources.memory: asks for 999999 GB"),
        ("  envs:", "  resources: {disk_size: 65536}\n  envs:", "train.resources.disk_size: asks for 65536 GB"),
        ("  envs:", "  framework: sklaern@1\n  envs:", "train.framework: local does not know 'sklaern@1'"),
        ("  endpoint: small", "  endpoint: small\n  framework: tf@2", "deploy.framework: local does not know 'tf@2'"),
        ("name: small", "name: small\noverrides: {local: {train: {pyton: x}}}", "did you mean 'python'?"),
        ("{PAUSE:", "{CLOUDOPS_RANK: '1', PAUSE:", "another name than CLOUDOPS_RANK"),
        ("  envs:", "  secrets: [MASTER_PORT]\n  envs:", "another name than MASTER_PORT"),
        ("  endpoint: small", "  endpoint: small\n  envs: {A: b}\n  secrets: [A]", "A under envs or under secrets"),
        ("  params: {score: 0.9}", "  params: {score: 0.9}\n  model: models/none", "evaluate.model: 'models/none'"),
        ("reference: reference.csv", "reference: src/train.py", "monitor.reference: "),
        ("today: today.csv", "today: broken.parquet", "monitor.replay.today: "),
        ("reference: reference.csv", "reference: reference.csv\n  label: y", "monitor.label: reference.csv has no"),
    ],
)
def test_mistakes_are_one_line_and_create_nothing(project: Project, old: str, new: str, message: str) -> None:
    project.edit(old, new)
    (project.folder / "broken.parquet").write_text("PAR1, and then something else")
    refused = project.run("run", code=None)
    assert refused.returncode in (2, 3)
    assert message in refused.stderr
    assert re.search(r"^error: cloudops\.yaml:\d+: [a-z]+", refused.stderr, re.MULTILINE)
    assert len([line for line in refused.stderr.splitlines() if line.startswith("error: ")]) == 1
    assert not (project.folder / ".cloudops" / "local" / "jobs").exists()


def test_a_damaged_state_file_is_named(project: Project) -> None:
    project.run("train")
    database = project.folder / ".cloudops" / "local" / "state.db"
    for path in database.parent.glob("state.db*"):
        path.unlink()
    database.write_text("not a database, " * 100)
    refused = project.run("jobs", code=3)
    assert "state.db is damaged" in refused.stderr
    assert "move it away" in refused.stderr
    assert "FAIL  state" in project.run("check", code=1).stdout


def test_init_makes_a_project_that_is_valid(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "My New Project"
    project.run("init", str(folder))
    assert "my-new-project" in (folder / "cloudops.yaml").read_text()
    project.run("config", "show", "-f", str(folder / "cloudops.yaml"))
    assert "exists already" in project.run("init", str(folder), code=2).stderr


@pytest.mark.parametrize("folder", ["/dev/null", "/proc/x", "cloudops.yaml/below"])
def test_init_in_an_impossible_place_names_it(project: Project, folder: str) -> None:
    refused = project.json("init", folder, code=2)["error"]
    assert refused["type"] == "ConfigError"
    assert refused["message"].startswith(f"no project can be made in {folder}: ")


def test_init_in_a_working_directory_that_is_gone(project: Project, tmp_path: Path) -> None:
    script = 'mkdir gone; cd gone; rmdir ../gone; exec "$0" init'
    done = subprocess.run(["sh", "-c", script, CLI], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("error: no project can be made in .: ")


def test_project_files_that_are_none(project: Project) -> None:
    assert "-f: expected the path of a project file" in project.run("jobs", "-f", "", code=2).stderr
    os.mkfifo(project.folder / "pipe")
    for file in ("pipe", "/dev/zero"):
        assert f"error: {file}: cannot be read: not a regular file" in project.run("jobs", "-f", file, code=2).stderr


def test_credentials_of_urls_are_not_shown(project: Project) -> None:
    project.edit("  params: {lr: 0.1}", "  inputs: {data: 'https://me:hunter2@host.example/data.csv?sig=hunter2'}")
    project.edit("reference: reference.csv", "reference: https://me:hunter2@host.example/r.csv")
    for arguments in ([], ["-o", "json"]):
        shown = project.run("config", "show", *arguments).stdout
        assert "https://host.example/data.csv?..." in shown
        assert "hunter2" not in shown


def test_completion_completes_commands(project: Project) -> None:
    assert "_CLOUDOPS_COMPLETE" in project.run("completion", "bash").stdout
    assert "_CLOUDOPS_COMPLETE" in project.json("completion", "zsh")["script"]


def test_failures_are_a_document_too(project: Project) -> None:
    for arguments in (["predict", "-o", "json"], ["predict", "-ojson"], ["trian", "--output=json"]):
        assert json.loads(project.run(*arguments, code=2).stdout)["error"]["type"] == "UsageError"
    project.edit("name: small", "nam: small")
    assert json.loads(project.run("run", "-ojson", code=2).stdout)["error"]["type"] == "ConfigError"


def test_credentials_in_requirements_are_refused(project: Project) -> None:
    (project.folder / "r.txt").write_text("--index-url https://user:hunter2@example.invalid/simple\nsix\n")
    refused = project.run("plan", "--set", "train.requirements=r.txt", code=2)
    assert "holds credentials" in refused.stderr
    assert "hunter2" not in refused.stderr + refused.stdout


def test_completion_in_a_shell(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_CLOUDOPS_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "cloudops tr")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert project.run().stdout.split() == ["plain,train", "plain,traffic"]
    monkeypatch.setenv("COMP_WORDS", "cloudops train --prov")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert project.run().stdout.split() == ["plain,--provider"]


def test_status_imports_only_what_it_needs(project: Project) -> None:
    uri = project.json("train")["uri"]
    code = (
        "import sys; from cloudops.cli.main import _run; "
        f"_run(['status', {uri!r}]); _run(['logs', {uri!r}]); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "succeeded" in done.stdout
    roots = {module.split(".")[0] for module in done.stderr.split()}
    heavy = {"pydantic", "yaml", "rich", "polars", "numpy", "scipy", "aiohttp", "asyncio", "psutil", "urllib3", "http"}
    assert not roots & heavy
    assert "urllib.request" not in done.stderr.split()
    assert "importlib.metadata" not in done.stderr.split()


def test_what_cannot_be_monitored_is_said_before_anything_runs(project: Project) -> None:
    project.edit("  capture: {sample: 100%}\n", "")
    assert "captures no requests" in project.run("run", code=2).stderr
    assert project.json("jobs") == []
    (project.folder / "empty.yaml").write_text("name: empty\n")
    assert "no step to take" in project.run("run", "-f", "empty.yaml", code=2).stderr


def test_numbers_that_json_lacks_become_null(project: Project) -> None:
    (project.folder / "src" / "train.py").write_text(
        "from cloudops.runtime import log_metric\nlog_metric('a', float('nan'))\n"
    )
    assert project.json("train")["metrics"] == {"a": None}


def test_an_unknown_command_names_the_nearest(project: Project) -> None:
    assert "did you mean 'train'?" in project.run("trian", code=2).stderr


def test_status_of_what_is_not_there(project: Project) -> None:
    refused = project.run("status", "cloudops://local/nowhere/at/all/jobs/x", code=3)
    assert "there is no job 'x' in /nowhere/at/all" in refused.stderr
    assert "is not a cloudops URI" in project.run("status", "cloudops://local/x", code=2).stderr
    assert "not installed" in project.run("status", "cloudops://nimbus/a/jobs/x", code=2).stderr
