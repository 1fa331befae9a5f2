"""Requests as the core makes them, for tests of pure functions."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

from cloudops_sagemaker.jobs import Where
from cloudops_sagemaker.names import Layout
from cloudops_sagemaker.options import SageMakerTarget

from cloudops.provider import CodeVersion, DeployRequest, Input, JobRequest, Lineage, ModelInfo
from cloudops.specs import DeploySpec, EvaluateSpec, TrainSpec

DIGEST = "a" * 64
ROLE = "arn:aws:iam::123456789012:role/service-role/jobs"


def where(**settings: Any) -> Where:
    target = SageMakerTarget(**settings)
    return Where("us-east-1", ROLE, Layout.of("models", target.prefix, "small"), target)


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
        (folder / "predictor.py").write_text("def load(folder): ...\n")
        with tarfile.open(archive, "w") as file:
            file.add(folder / "predictor.py", "predictor.py")
    return CodeVersion(DIGEST, archive)


def job(
    *, step: str = "train", inputs: dict[str, str] | None = None, options: Any = None, secrets: Any = None, **spec: Any
) -> JobRequest:
    kind = EvaluateSpec if step == "evaluate" else TrainSpec
    return JobRequest(
        name=f"small-{step}-0123456789",
        step=step,
        spec=kind(**{"command": "python train.py", **spec}),
        code=code(),
        inputs={name: Input(source, f"version of {name}") for name, source in (inputs or {}).items()},
        lineage=lineage(),
        secrets=secrets or {},
        options=options,
    )


def deployment(*, options: Any = None, secrets: Any = None, **spec: Any) -> DeployRequest:
    return DeployRequest(
        endpoint="small",
        version="01234567",
        project="small",
        spec=DeploySpec(**{"endpoint": "small", **spec}),
        model=ModelInfo(None, "/models/two"),
        code=code(),
        predictor="predictor.py",
        secrets=secrets or {},
        options=options,
    )
