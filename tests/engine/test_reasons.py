"""A job or a replica that could not start has the runtime's own sentence in its reason, not just an exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cloudops.engine import service_shim
from cloudops.engine.service_shim import Task

from .jobs import Jobs
from .service_rig import FAST, endpoint, spec

RUNTIME = (sys.executable, "-m", "cloudops.runtime")
GOOD = "def load(d): ...\ndef predict(m, i): ...\n"


def words_of(folder: Path, env: dict[str, str]) -> str:
    """The last words of a replica that the real shim ran to its end."""
    given = {"PATH": os.environ["PATH"], "CLOUDOPS_PORT": "0", "CLOUDOPS_MODEL_DIR": str(folder), **env}
    task = Task((*RUNTIME, "serve"), given, str(folder), str(folder / "replica.log"))
    shim = [sys.executable, "-P", "-m", "cloudops.engine.service_shim"]
    assert subprocess.run(shim, input=task.encode(), check=False, timeout=60).returncode in (2, 3)
    return service_shim.last_words(folder / "replica.log")


@pytest.mark.parametrize(
    ("files", "env", "reason"),
    [
        ({"p.py": "def predict(m, i): ..."}, {"CLOUDOPS_PREDICTOR": "p.py"}, "p.py has no function load(model_dir)"),
        ({"p.py": "import no_such_library"}, {"CLOUDOPS_PREDICTOR": "p.py"}, "No module named 'no_such_library'"),
        (
            {"p.py": "def load(d): raise ValueError('two\\nlines')\ndef predict(m, i): ..."},
            {"CLOUDOPS_PREDICTOR": "p.py"},
            "the model could not be loaded: ValueError: two lines",
        ),
        ({"model.h5": ""}, {}, "no model that is understood (it holds model.h5"),
        ({"p.py": GOOD}, {"CLOUDOPS_PREDICTOR": "gone.py"}, "CLOUDOPS_PREDICTOR is gone.py, and there is no such file"),
        ({"p.py": GOOD}, {"CLOUDOPS_PORT": "http"}, "CLOUDOPS_PORT is 'http'; expected a whole number"),
    ],
)
def test_a_replica_that_cannot_start(tmp_path: Path, files: dict[str, str], env: dict[str, str], reason: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    words = words_of(tmp_path, env)
    assert reason in words
    assert not words.startswith("[cloudops]")


def test_an_endpoint_that_cannot_start(tmp_path: Path) -> None:
    (tmp_path / "p.py").write_text("def load(d): ...")
    version = spec("v1", env={"CLOUDOPS_PREDICTOR": str(tmp_path / "p.py"), "CLOUDOPS_SERVER": "std"})
    policy = replace(FAST, start_attempts=1, backoff=0.01)
    with endpoint(tmp_path / "endpoint") as one:
        state = one.up(replace(version, argv=(*RUNTIME, "serve")), policy=policy)
    assert state.phase == "failed"
    assert state.reason.startswith("version v1 ended 1 times before it was ready: exit code 3: the model could not")
    assert state.reason.endswith(f"{tmp_path}/p.py has no function predict(model, instances)")


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        ({"command": "x ${{params.lr}}"}, "exit code 2: the command's placeholder ${{params.lr}} leads nowhere"),
        ({"command": "x", "requirements": "r.txt"}, "/r.txt ended with exit code 1: error: no such package a"),
        ({"command": f"{sys.executable} -c 'raise ValueError(7)'"}, "exit code 1: ValueError: 7"),
        ({"command": "echo no luck; exit 5"}, "exit code 5: no luck"),
    ],
)
def test_a_job_that_cannot_start(jobs: Jobs, tmp_path: Path, job: dict[str, str], reason: str) -> None:
    (tmp_path / "r.txt").touch()
    (tmp_path / "uv").write_text("#!/bin/sh\necho error: no such package a >&2\nexit 1\n")
    (tmp_path / "uv").chmod(0o755)
    (tmp_path / "JOB.json").write_text(json.dumps({"code": str(tmp_path), **job}))
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    state = jobs.run((*RUNTIME, "train", str(tmp_path / "JOB.json")), env=env)
    assert state.phase == "failed"
    assert reason in state.reason
    assert "\n" not in state.reason
