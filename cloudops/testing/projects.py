"""The small project that the contracts run: real scripts that need nothing but a Python, and specs that use them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudops.specs import DeploySpec, TrainSpec

if TYPE_CHECKING:
    from cloudops.handles import Job

_SCRIPTS = Path(__file__).parent / "scripts"
_MARK = "[contract] "

#: Model folder to what its ``model.json`` holds; ``scripts/predictor.py`` reads it.
MODELS: dict[str, dict[str, Any]] = {
    "two": {"scale": 2},
    "three": {"scale": 3},
    "five": {"scale": 5},
    "broken": {"scale": 7, "broken": True},
    "unloadable": {"scale": 9, "unloadable": True},
    "mortal": {"scale": 13, "dies": 1.0},
    "leaking": {"scale": 11, "leaks": "CONTRACT_SECRET"},
}
#: What is in ``data``: name to text.
DATA = {"part-1.csv": "x,y\n1,1\n", "part-2.csv": "x,y\n2,2\n", "deeper/notes.txt": "not a table"}


def write_project(root: Path) -> None:
    """Write the project to ``root``: ``code/job.py``, ``serve/predictor.py``, ``models/<name>`` and ``data``."""
    for source, target in (("job.py", "code"), ("predictor.py", "serve")):
        (root / target).mkdir(parents=True)
        shutil.copyfile(_SCRIPTS / source, root / target / source)
    content = {f"models/{name}/model.json": json.dumps(model) for name, model in MODELS.items()}
    for name, text in (content | {f"data/{name}": text for name, text in DATA.items()}).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def job(action: str, *arguments: str, **fields: Any) -> TrainSpec:
    """A job that runs a function of ``scripts/job.py``; an argument may be a reference such as ``${{params.x}}``."""
    return TrainSpec(**{"command": " ".join(["python job.py", action, *arguments]), "code": "code", **fields})


def deployment(endpoint: str, model: str | None = "two", **fields: Any) -> DeploySpec:
    """A deployment of one of :data:`MODELS`; with ``model`` None of what ``session.deploy`` is given."""
    folder = None if model is None else f"models/{model}"
    return DeploySpec(endpoint=endpoint, model=folder, predictor="serve/predictor.py", **fields)


def said(job: Job) -> list[dict[str, Any]]:
    """What the job's ranks told about themselves, in the order of the log."""
    return said_in(line.text for line in job.logs())


def said_in(lines: Iterable[str]) -> list[dict[str, Any]]:
    """What is told in the lines of a log."""
    return [json.loads(text.partition(_MARK)[2]) for text in lines if _MARK in text]


def configure(root: Path, **content: Any) -> Path:
    """Write ``cloudops.yaml`` (JSON is YAML) with these keys, and return its path."""
    path = root / "cloudops.yaml"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
