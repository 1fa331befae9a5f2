"""Clients that know nothing of cloudops work unmodified behind ``cloudops offline run``, with packages of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SDKS = HERE.parents[2] / ".venv-sdks" / "bin"
CLIENTS = {
    "aiplatform": ("with_aiplatform.py",),
    "gapic grpc": ("with_gapic.py", "grpc"),
    "gapic rest": ("with_gapic.py", "rest"),
    "storage": ("with_storage.py",),
}


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENTS)
def test_an_unmodified_client(client: str, tmp_path: Path) -> None:
    assert SDKS.exists(), "the SDKs are installed by: make .venv-sdks/.installed"
    cloudops = Path(sys.executable).with_name("cloudops")
    script, *arguments = CLIENTS[client]
    command = [str(SDKS / "python"), str(HERE / script), str(HERE / "task.py"), *arguments]
    done = subprocess.run(
        [cloudops, "offline", "run", "--", *command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    assert f"{client}: all done" in done.stdout
