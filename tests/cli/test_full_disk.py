"""A disk that fills up at any moment of a submission: one clear error, and all is well once there is space."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from .conftest import CLI, Project

SCRIPT = """
set -e
mount -t tmpfs -o size={size}k tmpfs "$1"
cp -r "$2"/src "$2"/cloudops.yaml "$1"
cd "$1"
set +e
"$3" train; echo "first: $?" >&2
mount -o remount,size=64m "$1"
"$3" train; echo "second: $?" >&2
"$3" down --yes
"""


def _can_mount(tmp_path: Path) -> bool:
    if shutil.which("unshare") is None:
        return False
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("size", [20, 60, 100, 160, 220])
def test_a_full_disk_is_one_clear_error(project: Project, tmp_path: Path, size: int) -> None:
    if not _can_mount(tmp_path):
        pytest.skip("this system lets an ordinary user mount no small file system (user namespaces are off)")
    disk = tmp_path / "small disk"
    disk.mkdir()
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", SCRIPT.format(size=size), "sh", str(disk), str(project.folder), CLI],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr
    before, after = done.stderr.split("first: ")
    assert after.startswith(("1\n", "3\n", "2\n")), done.stderr
    [error] = [line for line in before.splitlines() if line.startswith("error: ")]
    assert any(word in error for word in ("No space left", "is full", "disk I/O error")), error
    assert "free some" in before
    assert "second: 0" in after, done.stderr


FULL = """
set -e
mount -t tmpfs -o size=40m tmpfs "$1"
cp -r "$2"/src "$2"/cloudops.yaml "$1"
cd "$1"
"$3" train >&2
cat /dev/zero > rest 2>/dev/null || true
set +e
"$3" jobs; echo "jobs: $?" >&2
"$3" status; echo "status: $?" >&2
"$3" logs; echo "logs: $?" >&2
"$3" down --yes; echo "down: $?" >&2
"$3" jobs; echo "jobs: $?" >&2
rm rest
"$3" train > /dev/null; echo "train: $?" >&2
mount -o remount,ro "$1"
"$3" status; echo "read-only: $?" >&2
"$3" down --yes; echo "refused: $?" >&2
mount -o remount,rw "$1"
"$3" down --yes
"""


def test_on_a_full_disk_all_can_be_seen_and_deleted(project: Project, tmp_path: Path) -> None:
    if not _can_mount(tmp_path):
        pytest.skip("this system lets an ordinary user mount no small file system (user namespaces are off)")
    disk = tmp_path / "full disk"
    disk.mkdir()
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", FULL, "sh", str(disk), str(project.folder), CLI],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr
    for told in ("jobs: 0", "status: 0", "logs: 0", "down: 0", "train: 0", "read-only: 0", "refused: 3"):
        assert told in done.stderr, done.stdout + done.stderr
    assert "epoch 2" in done.stdout
