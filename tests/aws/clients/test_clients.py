"""Clients that know nothing of cloudops work unmodified behind ``cloudops offline run``, with packages of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SDKS = HERE.parents[2] / ".venv-sdks" / "bin"
REGISTRY = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
ARGUMENTS = (
    str(HERE / "code"),
    "arn:aws:iam::123456789012:role/cloudops-sagemaker",
    f"{REGISTRY}/pytorch-training:2.6.0-cpu-py312",
    f"{REGISTRY}/pytorch-inference:2.6.0-cpu-py312",
)
CLIENTS = {
    "boto3": (str(SDKS / "python"), str(HERE / "with_boto3.py")),
    "AWS CLI": ("bash", str(HERE / "with_aws_cli.sh"), str(SDKS / "aws")),
    "sagemaker SDK": (str(SDKS / "python"), str(HERE / "with_sdk.py")),
}


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENTS)
def test_an_unmodified_client(client: str, tmp_path: Path) -> None:
    assert SDKS.exists(), "the SDKs are installed by: make .venv-sdks/.installed"
    cloudops = Path(sys.executable).with_name("cloudops")
    done = subprocess.run(
        [cloudops, "offline", "run", "--", *CLIENTS[client], *ARGUMENTS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    assert f"{client}: all done" in done.stdout
