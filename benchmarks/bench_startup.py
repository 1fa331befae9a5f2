"""How long commands take to start, against an interpreter that does nothing; each cloud's SDK beside it."""

from __future__ import annotations

import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import cloudops

from .clock import command, medians

#: What a user of the SDK imports first, by provider.
SDKS = {
    "sagemaker": ("boto3", "import boto3; boto3.client('sagemaker', region_name='eu-west-1')"),
    "sagemaker SDK": ("sagemaker", "from sagemaker.train import ModelTrainer"),
    "azureml SDK": ("azure.ai.ml", "from azure.ai.ml import MLClient"),
    "vertex SDK": ("google.cloud.aiplatform", "from google.cloud import aiplatform"),
}


def run() -> list[tuple[str, float, str]]:
    """Ratios to ``python -c pass``."""
    cli = str(Path(sys.executable).with_name("cloudops"))
    with tempfile.TemporaryDirectory() as folder:
        uri = _finished_job(Path(folder))
        cases = {
            "python -c pass": command([sys.executable, "-c", "pass"]),
            "cloudops --help": command([cli, "--help"]),
            "cloudops status <uri>": command([cli, "status", uri]),
            "cloudops logs <uri>": command([cli, "logs", uri]),
            "import cloudops": command([sys.executable, "-c", "import cloudops"]),
        }
        for name, (module, code) in SDKS.items():
            if _installed(module):
                cases[f"{name}: {code}"] = command([sys.executable, "-c", code])
        found = medians(cases)
    base = found.pop("python -c pass")
    bars = {"cloudops --help": "bar: at most 8", "cloudops status <uri>": "bar: at most 15"}
    rows = [(name, seconds / base, bars.get(name, "x python -c pass")) for name, seconds in found.items()]
    return [*rows, *((name, float("nan"), "not installed") for name, (m, _) in SDKS.items() if not _installed(m))]


def _finished_job(root: Path) -> str:
    session = cloudops.connect(provider="local", project="bench", root=root)
    (root / "code").mkdir()
    (root / "code" / "say.py").write_text("print('hello')\n")
    job = session.train(cloudops.TrainSpec(command="python say.py", code="code"))
    job.wait(60)
    return job.uri


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
