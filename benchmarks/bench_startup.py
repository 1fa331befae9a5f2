"""How long commands take to start, against an interpreter that does nothing; each cloud's SDK beside it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import cloudops

from .clock import command, medians

#: What a user of each SDK imports first.
SDKS = (
    "import boto3; boto3.client('sagemaker', region_name='eu-west-1')",
    "from sagemaker.train import ModelTrainer",
    "from azure.ai.ml import MLClient",
    "from google.cloud import aiplatform",
)
#: The interpreter of the environment that `make bench` installs the SDKs into.
SDK_PYTHON = Path(__file__).parent.parent / ".venv-sdks" / "bin" / "python"


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
        if SDK_PYTHON.exists():
            cases |= {code: command([str(SDK_PYTHON), "-c", code]) for code in SDKS}
        found = medians(cases)
    base = found.pop("python -c pass")
    bars = {"cloudops --help": "bar: at most 8", "cloudops status <uri>": "bar: at most 15"}
    return [(name, seconds / base, bars.get(name, "x python -c pass")) for name, seconds in found.items()]


def _finished_job(root: Path) -> str:
    session = cloudops.connect(provider="local", project="bench", root=root)
    (root / "code").mkdir()
    (root / "code" / "say.py").write_text("print('hello')\n")
    job = session.train(cloudops.TrainSpec(command="python say.py", code="code"))
    job.wait(60)
    return job.uri
