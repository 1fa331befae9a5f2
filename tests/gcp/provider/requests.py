"""Requests as the core makes them, for tests of pure functions."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

from cloudops_vertex.jobs import Where
from cloudops_vertex.names import Layout
from cloudops_vertex.options import VertexTarget

from cloudops.provider import CodeVersion, Input, JobRequest, Lineage
from cloudops.specs import EvaluateSpec, TrainSpec

DIGEST = "a" * 64


def where(**settings: Any) -> Where:
    target = VertexTarget(**settings)
    return Where("my-project", "us-central1", Layout.of("models", target.prefix, "small"), target)


def lineage(**fields: Any) -> Lineage:
    values: dict[str, Any] = {
        "project": "small",
        "intent": "b" * 64,
        "spec": "c" * 64,
        "code": DIGEST,
        "data": {"train": "v1"},
        "params": {"lr": 0.1},
        "environment": {"framework": "sklearn@1.7", "image": "", "requirements": ""},
    }
    return Lineage(**{**values, **fields})


def code(folder: Path | None = None) -> CodeVersion:
    archive = Path("/nowhere.tar") if folder is None else folder / "code.tar"
    if folder is not None:
        (folder / "train.py").write_text("print('trained')\n")
        with tarfile.open(archive, "w") as file:
            file.add(folder / "train.py", "train.py")
    return CodeVersion(DIGEST, archive)


def job(
    *,
    step: str = "train",
    inputs: dict[str, str] | None = None,
    options: Any = None,
    secrets: Any = None,
    folder: Path | None = None,
    name: str = "",
    **spec: Any,
) -> JobRequest:
    kind = EvaluateSpec if step == "evaluate" else TrainSpec
    return JobRequest(
        name=name or f"small-{step}-0123456789",
        step=step,
        spec=kind(**{"command": "python train.py", **spec}),
        code=code(folder),
        inputs={name: Input(source, f"version of {name}") for name, source in (inputs or {}).items()},
        lineage=lineage(),
        secrets=secrets or {},
        options=options,
    )
