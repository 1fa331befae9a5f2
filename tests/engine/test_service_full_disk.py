"""An endpoint whose disk is full: it goes on serving, and counts what it could not write when there is room again."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cloudops.engine import service

from .service_rig import Endpoint, endpoint, spec, until

SIZE = "2m"


def _may_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-rm", "sh", "-c", "mount -t tmpfs -o size=64k none /mnt"]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(command, check=False, capture_output=True).returncode == 0
    )


@pytest.mark.skipif(not _may_mount(), reason="a small disk cannot be mounted here (no user namespaces)")
def test_full_disk(tmp_path: Path) -> None:
    # In a mount namespace of its own, which ends with its processes.
    script = f"""
import sys; sys.path[:0] = {sys.path!r}
from pathlib import Path
from {__package__}.{Path(__file__).stem} import scenario
scenario(Path({str(tmp_path)!r}))
"""
    mount = f"mount -t tmpfs -o size={SIZE} none '{tmp_path}' && exec \"$@\""
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount, "sh", sys.executable, "-c", script],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def scenario(disk: Path) -> None:
    with endpoint(disk / "endpoint") as one:
        state = one.up(spec("v1"))
        before = _requests(one.directory)
        ballast = disk / "ballast"
        _fill(ballast)
        for _ in range(20):
            assert one.ask().status == 200
        for victim in (state.supervisor, state.router, state.version("v1").replicas[0].pid):
            # Each is restarted and the endpoint serves, although nobody can write down what happened.
            one.kill(victim)
            until(lambda victim=victim: victim not in _pids(one) and len(one.processes()) == 3, what="it is back")
            for _ in range(20):
                assert one.ask().status == 200
        time.sleep(1.2)
        assert _requests(one.directory) == before, "nothing could be written"
        ballast.unlink()
        until(lambda: one.state.router != state.router, what="the state is written again")
        until(lambda: _requests(one.directory) >= before + 40, what="figures are written again")
        assert one.state.version("v1").replicas[0].pid == one.ask().value["pid"]
        _fill(ballast)
        service.delete(one.directory)
        assert one.processes() == []


def _pids(one: Endpoint) -> set[int]:
    return {found.process.pid for found in one.processes()}


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def _requests(directory: Path) -> int:
    return sum(found.requests for found in service.metrics(directory))
