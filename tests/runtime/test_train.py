from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cloudops.runtime.contract import load
from cloudops.runtime.errors import Problem
from cloudops.runtime.platforms import Contract
from cloudops.runtime.train import train

Runner = Callable[..., subprocess.CompletedProcess[str]]
PYTHON = json.dumps(sys.executable)
LOCAL = Contract("local", "model", "output", "checkpoints")


def clean_environ(**extra: str) -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return {**kept, "CLOUDOPS_CLOUD": "local", **extra}


def job_file(folder: Path, command: str, **members: object) -> Path:
    path = folder / "JOB.json"
    path.write_text(json.dumps({"command": command, **members}))
    return path


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    def run(command: str, environ: dict[str, str] | None = None, **members: object) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "cloudops.runtime", "train", str(job_file(tmp_path, command, **members))]
        env = {**clean_environ(), **(environ or {})}
        return subprocess.run(argv, cwd=tmp_path, env=env, check=False, capture_output=True, text=True, timeout=60)

    return run


REPORT = """
import json, os, sys
from cloudops.runtime import input_path, log_metric, model_dir, output_dir, params
(model_dir() / "model.txt").write_text("m")
(output_dir("data") / "rows.txt").write_text("r")
log_metric("auc", 0.5, step=params()["n"])
print(json.dumps({"argv": sys.argv[1:], "cwd": os.getcwd(), "env": dict(os.environ), "input": str(input_path("a"))}))
"""


def test_the_process_gets_what_the_contract_says(run: Runner, tmp_path: Path) -> None:
    code = tmp_path / "größe und code"
    code.mkdir()
    (code / "report.py").write_text(REPORT)
    hazard = 'it\'s "$HOME" `id`\n; rm -rf *'
    result = run(
        PYTHON + " report.py --data ${{inputs.a}}/x --lr ${{params.lr}} '${{params.who}}' ${{params.on}}",
        {"CLOUDOPS_INPUT_LEFTOVER": "of an outer job", "TZ": "UTC"},
        code=str(code),
        inputs={"a": "data dir"},
        outputs={"data": "out/data"},
        params={"lr": 0.1, "who": hazard, "on": True, "none": None, "list": [1, "ü"], "n": 7},
        model_dir="m",
        output_dir="out",
        checkpoint_dir="c",
    )
    assert result.returncode == 0, result.stderr
    metric, line = result.stdout.splitlines()
    seen = json.loads(line)
    env = seen["env"]
    assert metric == "[cloudops] metric name=auc value=0.5 step=7"
    assert seen["argv"] == ["--data", f"{tmp_path}/data dir/x", "--lr", "0.1", hazard, "true"]
    assert seen["cwd"] == str(code)
    assert seen["input"] == env["CLOUDOPS_INPUT_A"] == f"{tmp_path}/data dir"
    assert (tmp_path / "m" / "model.txt").read_text() == "m"
    assert (tmp_path / "out" / "data" / "rows.txt").read_text() == "r"
    assert (tmp_path / "c").is_dir()
    assert {key: env[f"CLOUDOPS_PARAM_{key}"] for key in ("ON", "NONE", "LIST")} == {
        "ON": "true",
        "NONE": "null",
        "LIST": '[1, "ü"]',
    }
    assert json.loads(env["CLOUDOPS_PARAMS"])["who"] == hazard
    assert env["CLOUDOPS_CHECKPOINT_DIR"] == f"{tmp_path}/c"
    assert (env["TZ"], env["PYTHONUNBUFFERED"], env["CLOUDOPS_CLOUD"]) == ("UTC", "1", "local")
    assert (env["RANK"], env["WORLD_SIZE"], env["MASTER_ADDR"]) == ("0", "1", "127.0.0.1")
    assert env["CLOUDOPS_MASTER_PORT"] == env["MASTER_PORT"]
    assert "CLOUDOPS_INPUT_LEFTOVER" not in env


def test_what_the_job_file_leaves_out_comes_from_the_platform(run: Runner, tmp_path: Path) -> None:
    environ = {"CLOUDOPS_INPUT_TRAIN": "/t", "CLOUDOPS_PARAMS": '{"lr": 2}', "CLOUDOPS_RANK": "1"}
    result = run(
        "echo ${{inputs.train}} ${{params.lr}} $CLOUDOPS_INPUT_TRAIN $CLOUDOPS_PARAM_LR $RANK $CLOUDOPS_MODEL_DIR",
        environ,
    )
    assert result.stdout == f"/t 2 /t 2 1 {tmp_path}/model\n"


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        ("exit 7", 7, "ended with exit code 7: exit 7"),
        ("kill -9 $$", 137, "ended with signal 9 (SIGKILL): kill -9 $$"),
        ("no-such-program", 127, "ended with exit code 127: no-such-program"),
    ],
)
def test_the_exit_code_comes_back(run: Runner, command: str, code: int, words: str) -> None:
    result = run(command)
    assert result.returncode == code
    assert result.stderr.splitlines()[-1] == f"[cloudops] the command {words}"


def test_the_reason_is_left_where_sagemaker_looks_for_it(tmp_path: Path) -> None:
    environ = clean_environ(CLOUDOPS_CLOUD="sagemaker")
    folders = {name: str(tmp_path / name) for name in ("model_dir", "output_dir", "checkpoint_dir")}
    code = """
import os, pathlib, sys
from cloudops.runtime.train import train
sys.exit(train(pathlib.Path(sys.argv[1]), os.environ, ml_root=pathlib.Path(sys.argv[2])))
"""
    argv = [sys.executable, "-c", code, str(job_file(tmp_path, "exit 3", **folders)), str(tmp_path / "ml")]
    assert subprocess.run(argv, env=environ, check=False, timeout=60).returncode == 3
    assert (tmp_path / "ml/output/failure").read_text() == "the command ended with exit code 3: exit 3"
    with pytest.raises(Problem):
        train(job_file(tmp_path, "echo ${{params.x}}", **folders), environ, ml_root=tmp_path / "ml")
    assert "${{params.x}} leads nowhere" in (tmp_path / "ml/output/failure").read_text()


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"command": "x ${{params.rate}}", "params": {"rates": 1}}, "did you mean 'rates'? (in the job's params)"),
        ({"command": "x ${{inputs.zzz}}", "inputs": {"a": "a", "b": "b"}}, "known: a, b (in the job's inputs)"),
        ({"command": "x ${{outputs.y}}"}, "none is known here (in the job's outputs)"),
        ({"command": "x", "inputs": {"a": "1", "A": "2"}}, "input 'a' and input 'A' share one environment variable"),
        ({"command": "x", "outputs": {"dir": "1"}}, "output 'dir' and the variable CLOUDOPS_OUTPUT_DIR share one"),
        ({"command": "x", "params": {"a": "\0"}}, "param 'a' holds a NUL character"),
        ({"command": "x", "params": {"a": "\ud800"}}, "param 'a' holds text that utf-8 cannot encode"),
        ({"command": "x", "params": {"a": "x" * 200_000}}, "a parameter or a path of 128 KiB or more?"),
        ({"command": "x", "code": "no/where"}, "no/where does not exist"),
        ({"command": "x", "comand": "y"}, "unknown member 'comand'; did you mean 'command'?"),
        ({"command": "x", "inputs": []}, "'inputs' must be an object"),
        ({"command": "x", "inputs": {"a": 1}}, "every value of 'inputs' must be a path"),
        ({"command": "x", "code": 1}, "'code' must be a text"),
        ({"command": ["x"]}, "must be a JSON object with a 'command', a text"),
        ({}, "must be a JSON object with a 'command', a text"),
    ],
)
def test_a_job_that_cannot_start_is_one_line(tmp_path: Path, members: dict[str, object], message: str) -> None:
    path = tmp_path / "JOB.json"
    path.write_text(json.dumps(members))
    argv = [sys.executable, "-m", "cloudops.runtime", "train", str(path)]
    result = subprocess.run(
        argv, cwd=tmp_path, env=clean_environ(), check=False, capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 2
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("[cloudops] error: ")
    assert message in line


@pytest.mark.parametrize(("content", "message"), [(None, "cannot be read: No such file"), ("{", "is not JSON")])
def test_an_unreadable_job_file(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "JOB.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(Problem, match=message):
        load(path, LOCAL)


def test_paths_of_buckets(tmp_path: Path) -> None:
    job = load(job_file(tmp_path, "x", inputs={"a": "gs://b/x", "c": "https://h/x"}), LOCAL)
    assert job.contract.inputs == {"a": "/gcs/b/x", "c": "https://h/x"}


CHECKPOINTING = """
trap 'while [ ! -e child ]; do sleep 0.05; done; echo saved > "$CLOUDOPS_CHECKPOINT_DIR/saved"; exit 5' TERM
sh -c 'trap "echo child got it > child; exit" TERM; touch ready; while :; do sleep 0.05; done' &
while :; do sleep 0.05; done
"""


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "waited 20 s in vain"
        time.sleep(0.01)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def start(tmp_path: Path, command: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "cloudops.runtime", "train", str(job_file(tmp_path, command))]
    return subprocess.Popen(argv, cwd=tmp_path, env=clean_environ(), stderr=subprocess.DEVNULL, text=True)


def test_a_termination_signal_reaches_the_whole_group(tmp_path: Path) -> None:
    process = start(tmp_path, CHECKPOINTING)
    wait_for((tmp_path / "ready").exists)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 5
    assert (tmp_path / "checkpoints" / "saved").exists()
    assert (tmp_path / "child").exists()


#: Notes each SIGTERM, takes a moment to save, and ends with the exit code that it was given.
SAVES = """
import pathlib, signal, sys, time
def save(*_):
    with open("told", "a") as file:
        file.write("x")
    time.sleep(0.5)
    pathlib.Path("saved").touch()
    sys.exit(int(sys.argv[1]))
signal.signal(signal.SIGTERM, save)
pathlib.Path("ready").touch()
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt its orphans")
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("{} saves.py 5", 5),
        ("{} saves.py 0", 0),
        ("exec {} saves.py 5", 5),
        ("{} saves.py 5; touch next", 5),
        ("cd . && {} saves.py 5 | sh -c 'trap \"\" TERM; cat; exit 7'", 7),
        ("({} saves.py 5; touch next)", 143),
        ("{} saves.py 5 & wait; touch next", 143),
        ("{} saves.py 5 & exec sleep 60", 143),
        ("set -m; {} saves.py 5 & wait; touch next", 143),
    ],
)
def test_a_program_is_told_once_and_may_finish_saving(tmp_path: Path, command: str, code: int) -> None:
    (tmp_path / "saves.py").write_text(SAVES)
    process = start(tmp_path, command.format(PYTHON))
    wait_for((tmp_path / "ready").exists)
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == code
    assert (tmp_path / "saved").exists()
    assert (tmp_path / "told").read_text() == "x"
    assert not (tmp_path / "next").exists()


def test_who_ignores_the_signal_keeps_the_runtime_waiting(tmp_path: Path) -> None:
    process = start(tmp_path, "sh -c 'trap \"\" TERM; touch ready; while [ ! -e go ]; do sleep 0.05; done; touch done'")
    wait_for((tmp_path / "ready").exists)
    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    (tmp_path / "go").touch()
    assert process.wait(20) == 0
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize("pipeline", [("false | true", 0), ("true | sh -c 'exit 3'", 3), ("exit 4 & wait $!", 4)])
def test_the_exit_code_of_more_than_one_program(run: Runner, pipeline: tuple[str, int]) -> None:
    assert run(pipeline[0]).returncode == pipeline[1]


@pytest.mark.parametrize("job_control", ["", "set -m; "])
def test_what_the_command_leaves_running_is_ended(tmp_path: Path, job_control: str) -> None:
    process = start(tmp_path, f"{job_control}sh -c 'trap \"\" TERM; sleep 300' & echo $! > pid.tmp; mv pid.tmp pid")
    assert process.wait(20) == 0
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not alive(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process that its parent died")
def test_the_command_dies_with_a_killed_runtime(tmp_path: Path) -> None:
    process = start(tmp_path, "echo $$ > pid.tmp; mv pid.tmp pid; exec sleep 300")
    wait_for((tmp_path / "pid").exists)
    pid = int((tmp_path / "pid").read_text())
    assert alive(pid)
    process.kill()
    process.wait(20)
    wait_for(lambda: not alive(pid))


def tool(folder: Path, name: str, body: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{body}\n")
    (folder / name).chmod(0o755)


def test_requirements_are_installed_first(run: Runner, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("a\n")
    tool(tmp_path / "bin", "uv", f'echo "$@" > {tmp_path}/arguments')
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    result = run("cat arguments", {"PATH": path}, requirements="requirements.txt")
    assert result.stdout.split() == ["pip", "install", "--python", sys.executable, "-r", f"{tmp_path}/requirements.txt"]


def test_requirements_that_cannot_be_installed(run: Runner, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("a\n")
    tool(tmp_path / "bin", "uv", "echo look; echo '  error: no such package a' >&2; echo ' hint: b' >&2; exit 4")
    path = f"{tmp_path}/bin:{os.environ['PATH']}"
    result = run("touch ran", {"PATH": path}, requirements="requirements.txt")
    assert result.returncode == 2
    assert result.stdout == "look\n"
    assert result.stderr.splitlines() == [
        "  error: no such package a",
        " hint: b",
        f"[cloudops] error: installing {tmp_path}/requirements.txt ended with exit code 4: error: no such package a",
    ]
    assert not (tmp_path / "ran").exists()


def test_requirements_through_pip(run: Runner, tmp_path: Path) -> None:
    """Without uv, pip installs: here a package of this machine's, already there, from no index."""
    (tmp_path / "requirements.txt").write_text("--no-index\npytest\n")
    result = run(
        "echo ran", {"PATH": "/usr/bin:/bin", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}, requirements="requirements.txt"
    )
    assert result.returncode == 0, result.stderr
    assert "Requirement already satisfied: pytest" in result.stdout
    assert result.stdout.splitlines()[-1] == "ran"


@pytest.mark.parametrize("arguments", [[], ["train"], ["fly"], ["serve", "x"]])
def test_usage(arguments: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "cloudops.runtime", *arguments], check=False, capture_output=True, text=True
    )
    assert result.returncode == 2
    assert result.stderr.startswith("usage: cloudops runtime train JOB.json")
