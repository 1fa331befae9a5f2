"""A small project that runs with the standard library alone, and the command line as a person uses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

CLI = str(Path(sys.executable).with_name("cloudops"))

TRAIN = """
import json, os, sys, time
from cloudops.runtime import log_metric
for epoch in range(3):
    log_metric("loss", 1.0 / (epoch + 1), step=epoch)
    print("epoch", epoch, flush=True)
    time.sleep(float(os.environ.get("PAUSE", "0")))
open(os.path.join(os.environ["CLOUDOPS_MODEL_DIR"], "weights.json"), "w").write(json.dumps({"factor": 2}))
"""
EVALUATE = """
import sys
from cloudops.runtime import log_metric
log_metric("score", float(sys.argv[1]))
"""
PREDICTOR = """
import json, os
def load(model_dir):
    return json.load(open(os.path.join(model_dir, "weights.json")))
def predict(model, instances):
    return [row["x"] * model["factor"] for row in instances]
"""
YAML = """\
name: small
train:
  code: src
  command: python train.py
  params: {lr: 0.1}
  envs: {PAUSE: "0"}
evaluate:
  command: python evaluate.py ${{params.score}}
  params: {score: 0.9}
  require: {score: ">= 0.5"}
deploy:
  endpoint: small
  predictor: src/predictor.py
  capture: {sample: 100%}
monitor:
  reference: reference.csv
  replay: {today: today.csv}
"""


def _outside() -> dict[str, str]:
    """The variables of a shell that was led to no offline clouds, as those of a test before may have been."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CLOUDOPS_OFFLINE")}


class Project:
    """A project's folder and the command line in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "src").mkdir(parents=True)
        for name, text in {"train.py": TRAIN, "evaluate.py": EVALUATE, "predictor.py": PREDICTOR}.items():
            (folder / "src" / name).write_text(text)
        (folder / "cloudops.yaml").write_text(YAML)
        rows = "\n".join(str(number % 50) for number in range(500))
        (folder / "reference.csv").write_text(f"x\n{rows}\n")
        (folder / "today.csv").write_text(f"x\n{rows}\n")

    def edit(self, old: str, new: str) -> None:
        """Replace a piece of the project file."""
        text = (self.folder / "cloudops.yaml").read_text()
        assert old in text
        (self.folder / "cloudops.yaml").write_text(text.replace(old, new))

    def start(self, *arguments: str, environ: dict[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
        """Start a command."""
        return subprocess.Popen(
            [CLI, *arguments],
            cwd=self.folder,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**_outside(), "COLUMNS": "80", **(environ or {})},
            **options,
        )

    def run(self, *arguments: str, code: int | None = 0, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command and look at its exit code."""
        done = subprocess.run(
            [CLI, *arguments],
            cwd=self.folder,
            text=True,
            input=stdin if stdin is not None else "",
            capture_output=True,
            timeout=120,
            check=False,
            env={**_outside(), "COLUMNS": "80"},
        )
        assert not any(line.startswith("Traceback") for line in done.stderr.splitlines()), done.stderr
        assert code is None or done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def patched(self, code: str, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command in a process that runs ``code`` first."""
        script = (
            f"import sys\n{code}\nsys.argv = ['cloudops', *sys.argv[1:]]\nfrom cloudops.cli.main import main\nmain()"
        )
        given = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(
            [sys.executable, "-c", script, *arguments], cwd=self.folder, text=True, env=_outside(), **given
        )

    def json(self, *arguments: str, code: int = 0) -> Any:
        """The one document that a command prints with ``-o json``."""
        return json.loads(self.run(*arguments, "-o", "json", code=code).stdout)


@pytest.fixture
def make_project(tmp_path: Path) -> Iterator[Callable[..., Project]]:
    made: list[Project] = []

    def make(name: str = "project") -> Project:
        made.append(Project(tmp_path / name))
        return made[-1]

    yield make
    for project in made:
        (project.folder / "cloudops.yaml").write_text(YAML)
        project.run("down", "--yes", code=None)


@pytest.fixture
def project(make_project: Callable[..., Project]) -> Project:
    return make_project()


def interrupt(process: subprocess.Popen[str]) -> None:
    """What Ctrl-C does."""
    process.send_signal(signal.SIGINT)
