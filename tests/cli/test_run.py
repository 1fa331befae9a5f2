"""The whole loop through the command line."""

from __future__ import annotations

import json
import os
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from .conftest import Project, interrupt


def test_run_takes_every_step_and_a_second_run_doubles_nothing(project: Project) -> None:
    first = project.json("run")
    assert first["train"]["phase"] == "succeeded"
    assert first["train"]["metrics"] == {"loss": 1 / 3}
    assert first["evaluate"]["metrics"] == {"score": 0.9}
    assert first["evaluate"]["passed"] is True
    assert first["deploy"]["prediction"] == {"row": {"x": 0}, "prediction": 0}
    assert first["monitor"]["verdict"] == "ok"
    assert first["monitor"]["drifted"] == []
    assert Path(first["monitor"]["report"]).read_text().startswith("<!")

    second = project.json("run")
    for step in ("train", "deploy"):
        assert second[step]["uri"] == first[step]["uri"]
    assert second["deploy"]["traffic"] == first["deploy"]["traffic"]
    assert len(project.json("jobs")) == 2


def test_drift_is_named_and_fails_monitor_but_not_run(project: Project) -> None:
    rows = "\n".join(str(number % 50 + 100) for number in range(500))
    (project.folder / "today.csv").write_text(f"x\n{rows}\n")
    result = project.json("run")
    assert result["monitor"]["verdict"] == "drift"
    assert result["monitor"]["drifted"] == ["x"]
    monitored = project.run("monitor", code=1)
    assert "x" in monitored.stdout
    assert project.json("monitor", code=1)["verdict"] == "drift"


def test_a_gate_that_is_missed_deploys_nothing(project: Project) -> None:
    failed = project.run("run", "--set", "evaluate.params.score=0.1", code=1)
    assert "evaluate.require.score: measured 0.1, required >= 0.5; nothing was deployed" in failed.stderr
    assert project.json("endpoints") == []
    refused = project.run("deploy", "--set", "evaluate.params.score=0.1", code=1)
    assert "measured 0.1, required >= 0.5; nothing was deployed" in refused.stderr
    assert "was not evaluated" in project.run("deploy", "--set", "evaluate.params.score=0.8", code=1).stderr
    assert project.json("endpoints") == []


def test_failing_user_code_shows_why(project: Project) -> None:
    (project.folder / "src" / "train.py").write_text("print('so far so good')\nraise ValueError('no such column')\n")
    failed = project.run("train", code=1)
    assert "ValueError: no such column" in failed.stderr
    assert "so far so good" in failed.stderr
    assert "train     failed" in failed.stderr.splitlines()  # the reason is told once, at the end
    document = project.json("train", code=1)
    assert document["error"]["type"] == "JobFailed"


def interrupted(project: Project, *arguments: str) -> str:
    """What a command says to Ctrl-C while its job runs."""
    project.edit('PAUSE: "0"', 'PAUSE: "1"')
    process = project.start(*arguments)
    assert process.stderr is not None
    while "running" not in process.stderr.readline():
        assert process.poll() is None
    interrupt(process)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    return str(said)


def test_ctrl_c_detaches_and_the_job_goes_on(project: Project) -> None:
    said = interrupted(project, "train")
    [job] = project.json("jobs")
    assert f"cloudops wait {job['uri']}" in said
    assert project.json("wait", job["uri"])["phase"] == "succeeded"


def test_ctrl_c_in_a_run_names_the_command_that_goes_on(project: Project) -> None:
    said = interrupted(project, "run", "--set", "train.params.lr=0.5", "--provider", "local")
    assert "cloudops run --set train.params.lr=0.5 --provider local" in said
    [job] = project.json("jobs")
    assert project.json("run", "--set", "train.params.lr=0.5")["train"]["uri"] == job["uri"]


def test_a_killed_client_leaves_the_job_running(project: Project) -> None:
    project.edit('PAUSE: "0"', 'PAUSE: "1"')
    process = project.start("train")
    assert process.stderr is not None
    while "running" not in process.stderr.readline():
        assert process.poll() is None
    process.kill()
    process.communicate()
    [job] = project.json("jobs")
    followed = project.run("logs", "-f", job["uri"])
    assert "epoch 2" in followed.stdout
    assert project.json("status", job["uri"])["phase"] == "succeeded"


def test_two_runs_at_once_share_their_work(project: Project) -> None:
    project.edit('PAUSE: "0"', 'PAUSE: "0.3"')
    both = [project.start("run", "-o", "json") for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    first, second = (json.loads(out) for out, _ in outputs)
    assert first["train"]["uri"] == second["train"]["uri"]
    assert first["deploy"]["url"] == second["deploy"]["url"]
    assert len(project.json("jobs")) == 2
    assert len(project.json("endpoints")) == 1


def test_unicode_and_spaces_in_paths(make_project: Callable[..., Project]) -> None:
    project = make_project("mein Projekt – größer 数据")
    result = project.json("run")
    assert result["monitor"]["verdict"] == "ok"
    elsewhere = project.run("status", result["train"]["uri"], code=0)
    assert "succeeded" in elsewhere.stdout


def test_down_shows_and_deletes_everything(project: Project) -> None:
    url = project.json("run")["deploy"]["url"]
    refused = project.run("down", code=2)
    assert "nothing was deleted" in refused.stderr
    assert "endpoint  small" in refused.stderr
    urllib.request.urlopen(f"{url}/ping", timeout=5).close()
    assert len(project.json("down", "--yes")["deleted"]) == 3
    assert project.json("jobs") == project.json("endpoints") == project.json("models") == []
    assert not any((project.folder / ".cloudops" / "local" / "jobs").iterdir())
    assert not any((project.folder / ".cloudops" / "local" / "endpoints").iterdir())
    assert project.json("down", "--yes")["deleted"] == []


def test_a_new_version_takes_over_and_can_be_rolled_back(project: Project) -> None:
    project.run("run")
    [before] = project.json("status", "small")["traffic"]
    (project.folder / "src" / "train.py").write_text(
        (project.folder / "src" / "train.py").read_text().replace('"factor": 2', '"factor": 3')
    )
    project.run("run")
    [after] = project.json("status", "small")["traffic"]
    assert after != before
    assert project.json("predict", "--row", '{"x": 1}')["predictions"] == [3]
    project.run("rollback")
    deadline = time.monotonic() + 30
    while project.json("predict", "--row", '{"x": 1}')["predictions"] != [2]:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_a_broken_version_is_rolled_back_and_the_old_one_serves(project: Project) -> None:
    model = project.json("run")["train"]["uri"].replace("/jobs/", "/models/")
    predictor = project.folder / "src" / "predictor.py"
    good = predictor.read_text()
    predictor.write_text("def load(model_dir):\n    raise RuntimeError('no such weights')\ndef predict(m, i): ...\n")
    assert "or name a model version" in project.run("deploy", code=2).stderr
    project.run("evaluate", "--model", model)
    failed = project.run("deploy", "--model", model, code=1)
    assert "does not serve, the one before goes on: rolled back" in failed.stderr
    assert "no such weights" in failed.stderr
    assert project.json("predict", "--row", '{"x": 1}')["predictions"] == [2]
    predictor.write_text(good.replace("row[", "2 * row["))
    project.run("evaluate", "--model", model)
    project.run("deploy", "--model", model)
    assert project.json("predict", "--row", '{"x": 1}')["predictions"] == [4]


def test_a_first_version_that_fails_leaves_nothing_running(project: Project) -> None:
    (project.folder / "src" / "predictor.py").write_text("def load(model_dir): 1 / 0\ndef predict(m, i): ...\n")
    failed = project.run("run", code=1)
    assert "ZeroDivisionError" in failed.stderr
    status = project.json("status", "small")
    assert status["phase"] == "failed"
    folder = str(project.folder / ".cloudops" / "local" / "endpoints")
    commands = [process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])]
    assert not [command for command in commands if any(folder in word for word in command)]


def test_a_port_in_use_is_named(project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        project.edit("name: small\n", f"name: small\noverrides: {{local: {{deploy: {{port: {port}}}}}}}\n")
        refused = project.run("run", code=3)
    assert f"overrides.local.deploy.port: port {port} on 127.0.0.1 is in use" in refused.stderr
    assert project.json("jobs") == project.json("endpoints") == []
    project.run("run")
    project.run("down", "--yes")


def test_a_token_guards_the_endpoint_until_it_is_taken_away(project: Project) -> None:
    url = project.json("run", "--set", "deploy.auth=token")["deploy"]["url"]
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(f"{url}/ping", timeout=5)
    token = project.folder / ".cloudops" / "local" / "endpoints" / "small" / "token"
    assert token.stat().st_mode & 0o777 == 0o600
    assert project.json("predict", "--row", '{"x": 1}')["predictions"] == [2]
    project.run("run")
    urllib.request.urlopen(f"{url}/ping", timeout=5).close()
    assert not token.exists()


def test_what_is_emulated_is_said_before_it_begins(project: Project) -> None:
    project.edit("  envs:", "  resources: {use_spot: true}\n  envs:")
    for command in ("train", "run"):
        said = project.run(command).stderr.splitlines()
        assert said[0] == "! train.resources.use_spot: emulated: nothing interrupts a job on this machine"
        assert len([line for line in said if line.startswith("! ")]) == 1
    override = "{deploy: {target_concurrency: 2}, evaluate: {python: python3}}"
    project.edit("name: small\n", f"name: small\noverrides: {{local: {override}}}\n")
    for command in ("evaluate", "deploy"):
        [told, *_] = project.run(command, code=None).stderr.splitlines()
        assert told.startswith(f"! overrides.local.{command}.")


def test_a_model_that_is_named_is_evaluated_where_the_project_trains_none(project: Project) -> None:
    (project.folder / "given").mkdir()
    text = (project.folder / "cloudops.yaml").read_text()
    (project.folder / "cloudops.yaml").write_text(text[: text.index("train:")] + text[text.index("evaluate:") :])
    project.edit("  command: python evaluate.py", "  code: src\n  command: python evaluate.py")
    assert project.json("evaluate", "--model", "given")["passed"] is True


def test_new_starts_another_job(project: Project) -> None:
    first = project.json("train")
    assert project.json("train")["uri"] == first["uri"]
    second = project.json("train", "--new")
    assert second["uri"] != first["uri"]
    assert project.json("train")["uri"] == second["uri"]


def test_a_rotated_secret_reaches_the_replicas(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.edit("  predictor: src/predictor.py\n", "  predictor: src/predictor.py\n  secrets: [SMALL_KEY]\n")
    (project.folder / "src" / "predictor.py").write_text(
        "import os\ndef load(model_dir): ...\ndef predict(m, i): return [len(os.environ['SMALL_KEY'])] * len(i)\n"
    )
    for value in ("first", "second-one"):
        monkeypatch.setenv("SMALL_KEY", value)
        project.run("run")
        assert project.json("predict", "--row", "1")["predictions"] == [len(value)]


def test_secrets_reach_the_job_and_nothing_else(project: Project) -> None:
    project.edit("  params: {lr: 0.1}\n", "  params: {lr: 0.1}\n  secrets: [SMALL_KEY]\n")
    (project.folder / "src" / "train.py").write_text(
        "import os\nprint('length', len(os.environ['SMALL_KEY']), os.environ['SMALL_KEY'])\n"
        "open(os.environ['CLOUDOPS_MODEL_DIR'] + '/weights.json', 'w').write('{}')\n"
    )
    assert "export SMALL_KEY=..." in project.run("train", code=2).stderr
    os.environ["SMALL_KEY"] = "hunter2-hunter2"
    try:
        project.run("train")
        shown = project.run("logs").stdout + project.run("plan").stdout
    finally:
        del os.environ["SMALL_KEY"]
    assert "length 15" in shown
    assert "hunter2" not in shown
    kept = b"".join(path.read_bytes() for path in (project.folder / ".cloudops").rglob("*") if path.is_file())
    assert b"hunter2" not in kept
