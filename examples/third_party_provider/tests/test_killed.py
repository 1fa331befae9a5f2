"""What the contracts cannot know: which process to kill, and what must be seen then."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from cloudops.handles import Endpoint
from cloudops.refs import Phase
from cloudops.testing import Rig
from cloudops.testing.projects import deployment, job


def group(folder: Path) -> list[int]:
    """The processes of a job or an endpoint, the first one first."""
    wanted = json.loads((folder / "group.json").read_text())
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == wanted and fields[0] != "Z":
            found.append(int(path.parent.name))
    return sorted(found)


def test_a_killed_job_is_seen_as_failed(rig: Rig) -> None:
    session = rig.session()
    running = session.train(job("sleep", "600"))
    rig.printed(running, "asleep")
    for pid in group(session.root / ".sandbox" / "jobs" / running.ref.id):
        os.kill(pid, signal.SIGKILL)
    assert rig.ended(running) is Phase.FAILED
    assert "killed" in running.status().reason


def test_a_killed_door_is_seen_and_deployed_again_and_leaves_nothing(rig: Rig) -> None:
    session = rig.session()
    endpoint = rig.deploy(session, deployment(session.project))
    folder = session.root / ".sandbox" / "endpoints" / session.project
    door, *replicas = group(folder)
    os.kill(door, signal.SIGKILL)
    rig.until(endpoint.status, lambda status: status.phase is Phase.FAILED, "the loss to be seen")
    assert _running(replicas), "the replica has outlived its door"
    again: Endpoint = rig.deploy(session, deployment(session.project))
    assert again.predict([[1, 2]]) == [6]
    rig.until(lambda: _running(replicas), lambda left: not left, "the old replica to be killed")
    started = group(folder)
    again.delete()
    rig.until(lambda: _running(started), lambda left: not left, "all processes to end")


def test_a_door_whose_folder_is_removed_ends_with_its_replica(rig: Rig) -> None:
    session = rig.session()
    rig.deploy(session, deployment(session.project))
    folder = session.root / ".sandbox" / "endpoints" / session.project
    started = group(folder)
    (folder / "wanted.json").unlink()
    rig.until(lambda: _running(started), lambda left: not left, "all processes to end")


def _running(pids: list[int]) -> list[int]:
    time.sleep(0.01)
    return [pid for pid in pids if Path(f"/proc/{pid}/stat").exists() and _state(pid) != "Z"]


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"
