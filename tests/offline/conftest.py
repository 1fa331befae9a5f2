"""An offline cloud with the small emulator of these tests, and the command line with a cache folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudops.offline import OfflineCloud

CLI = str(Path(sys.executable).with_name("cloudops"))
FAKE = "offline.fake:FakeCloud"
ROOT = str(Path(__file__).parents[1])


@pytest.fixture(scope="session", autouse=True)
def _importable() -> Iterator[None]:
    """The emulators of these tests can be imported by servers, too."""
    patch = pytest.MonkeyPatch()
    patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")])))
    yield
    patch.undo()


@pytest.fixture(scope="session")
def server() -> Iterator[OfflineCloud]:
    with OfflineCloud(emulators=[FAKE, "offline.fake:Broken", "offline.s3fake:S3"]) as cloud:
        yield cloud


@pytest.fixture
def cloud(server: OfflineCloud) -> Iterator[OfflineCloud]:
    """Empty offline clouds; this process is led there."""
    server.reset()
    with server.active():
        yield server


class Shell:
    """The command line with a cache folder of its own."""

    def __init__(self, folder: Path) -> None:
        outside = {name: value for name, value in os.environ.items() if not name.startswith("CLOUDOPS_OFFLINE")}
        self.environ = {**outside, "XDG_CACHE_HOME": str(folder / "cache"), "COLUMNS": "80"}
        self.record = folder / "cache" / "cloudops" / "offline" / "server.json"
        self.folder = folder

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [CLI, *arguments],
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self.folder,
            env=self.environ,
            **options,
        )

    def run(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=90)
        assert "Traceback" not in err, err
        assert process.returncode == code, f"{process.returncode}\n{out}\n{err}"
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    made = Shell(tmp_path)
    yield made
    made.run("offline", "stop")
