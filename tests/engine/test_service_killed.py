"""`kill -9` of any one process of an endpoint, under clients that keep asking."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from cloudops.engine import service
from cloudops.engine.service_find import SHIM

from .service_rig import Answer, Endpoint, bad, endpoint, spec, until


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Endpoint]:
    with endpoint(tmp_path / "endpoint") as made:
        yield made


def _more(answers: list[Answer], count: int = 20) -> None:
    """Wait until clients have that many more answers."""
    wanted = len(answers) + count
    until(lambda: len(answers) >= wanted, what="clients go on")


def test_replica_of_two(one: Endpoint) -> None:
    state = one.up(spec("v1", env={"SLEEP": "0.01"}, min_replicas=2, max_replicas=2))
    victim = state.version("v1").replicas[0].pid
    with one.asked() as answers:
        one.kill(victim)
        replaced = until(lambda: _ready(one, 2) and one.state.version("v1").replicas[0].restarts == 1 and one.state)
        _more(answers)
    assert bad(answers) == []
    assert replaced.version("v1").replicas[0].pid != victim
    assert replaced.version("v1").replicas[1] == state.version("v1").replicas[1]


def test_only_replica_costs_time_and_no_request(one: Endpoint) -> None:
    state = one.up(spec("v1", env={"SLEEP": "0.01"}))
    with one.asked() as answers:
        one.kill(state.version("v1").replicas[0].pid)
        until(lambda: one.state.version("v1").replicas[0].restarts == 1 and _ready(one, 1))
        _more(answers)
    assert bad(answers) == []
    assert len({answer.value["pid"] for answer in answers}) == 2


def test_large_bodies_are_sent_again_up_to_a_limit(one: Endpoint, tmp_path: Path) -> None:
    once = tmp_path / "once"
    one.up(spec("v1", env={"ONCE": str(once)}, min_replicas=2, max_replicas=2))
    for size, expected in ((20 << 20, 200), (25 << 20, 200), (27 << 20, 502)):
        once.touch()
        answer = one.ask("/crash-once", bytes(size))
        assert (answer.status, once.exists()) == (expected, False), size
        assert expected != 200 or answer.value == {"size": size}
        until(lambda: _ready(one, 2))


def test_shim_takes_its_replica_along_and_both_are_replaced(one: Endpoint) -> None:
    state = one.up(spec("v1"))
    [shim] = [found.process for found in one.processes() if found.module == SHIM]
    with one.asked() as answers:
        one.kill(shim.pid)
        until(lambda: one.state.version("v1").replicas[0].restarts == 1 and _ready(one, 1))
        _more(answers)
    assert bad(answers) == []
    assert not _runs(state.version("v1").replicas[0].pid)


@pytest.mark.skipif(shutil.which("setsid") is None, reason="needs setsid of util-linux")
def test_what_a_replica_started_ends_with_it(one: Endpoint) -> None:
    state = one.up(spec("v1"))
    short, orphan = (one.ask("/spawn", seconds).value["pid"] for seconds in (b"0.2", b"600"))
    until(lambda: not psutil.pid_exists(short), what="adopted orphans that end are collected")
    assert _runs(orphan)
    one.kill(state.version("v1").replicas[0].pid)
    until(lambda: one.state.version("v1").replicas[0].restarts == 1 and _ready(one, 1))
    assert not _runs(orphan)
    last = one.ask("/spawn", b"600").value["pid"]
    service.delete(one.directory)
    assert not _runs(last)


def test_router(one: Endpoint) -> None:
    state = one.up(spec("v1", env={"SLEEP": "0.01"}))
    with one.asked() as answers:
        killed = time.time()
        one.kill(state.router)
        until(lambda: one.state.router != state.router, what="a new router")
        _more(answers)
    # Only what was in the dead router is lost; who comes after waits in the socket's queue.
    assert all(answer.began < killed + 0.01 for answer in bad(answers)), bad(answers)
    assert len(bad(answers)) <= 2
    assert one.state.version("v1").replicas == state.version("v1").replicas
    assert one.state.supervisor == state.supervisor


def test_supervisor(one: Endpoint) -> None:
    state = one.up(spec("v1", env={"SLEEP": "0.01"}, min_replicas=2, max_replicas=2))
    with one.asked() as answers:
        one.kill(state.supervisor)
        until(lambda: one.state.supervisor != state.supervisor, what="a new supervisor")
        _more(answers)
        adopted = one.state
        assert adopted.phase == "ready"
        assert adopted.router == state.router
        assert adopted.version("v1").replicas == state.version("v1").replicas
        # It does its work on what it did not start: notices an end, replaces, replaces the router.
        one.kill(adopted.version("v1").replicas[1].pid)
        until(lambda: one.state.version("v1").replicas[1].restarts == 1 and _ready(one, 2))
        assert bad(answers) == []
    one.kill(adopted.router)
    until(lambda: one.state.router != adopted.router)
    assert one.ask().status == 200


def test_supervisor_again_and_again(one: Endpoint) -> None:
    one.up(spec("v1", env={"SLEEP": "0.01"}))
    with one.asked() as answers:
        for _ in range(4):
            pid = one.state.supervisor
            one.kill(pid)
            until(lambda pid=pid: one.state.supervisor != pid)
        _more(answers)
    assert bad(answers) == []
    assert len(one.processes()) == 3


def test_supervisor_right_after_it_started_a_replica(one: Endpoint) -> None:
    state = one.up(spec("v1"))
    service.deploy(one.directory, spec("v2", env={"START_DELAY": "0.5"}))
    until(lambda: len([found for found in one.processes() if found.module == SHIM]) == 2)
    one.kill(state.supervisor)
    until(lambda: one.ask().version == "v2", what="the rollout goes on")
    until(lambda: len(one.processes()) == 3, what="no replica is left behind")


def test_supervisor_in_a_bake(one: Endpoint) -> None:
    from cloudops.engine.service import Rollout

    one.up(spec("v1"))
    generation = service.deploy(one.directory, spec("v2", env={"FAIL": "1"}), Rollout(canary=0.5, bake=60))
    baking = until(lambda: (found := one.state).version("v2").state == "baking" and found)
    deadline = _deadline(one)
    one.kill(baking.supervisor)
    until(lambda: one.state.supervisor not in (None, baking.supervisor))
    assert _deadline(one) == deadline, "a bake is not begun anew"
    assert one.state.version("v2").traffic == 50
    for _ in range(20):
        one.ask()
    state = service.wait(one.directory, generation, timeout=20)
    assert state.reason.startswith("rolled back: version v2 answered")


def test_delete_whose_supervisor_is_killed(one: Endpoint) -> None:
    state = one.up(spec("v1"))
    service.delete(one.directory, wait=0)
    one.kill(state.supervisor)
    service.delete(one.directory, wait=20)
    assert (one.state.phase, one.processes()) == ("deleted", [])
    assert not _runs(state.version("v1").replicas[0].pid)


@pytest.mark.slow
def test_hanging_router_is_replaced(one: Endpoint) -> None:
    import signal

    state = one.up(spec("v1"))
    os.kill(state.router, signal.SIGSTOP)
    until(lambda: one.state.router != state.router, timeout=25)
    assert one.ask().status == 200


def _runs(pid: int | None) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _ready(one: Endpoint, count: int) -> bool:
    return sum(replica.ready for replica in one.state.version("v1").replicas) == count


def _deadline(one: Endpoint) -> float:
    from cloudops.engine.service_desired import latest_plan
    from cloudops.engine.service_paths import Paths

    deadline = latest_plan(Paths(one.directory)).deadline
    assert deadline is not None
    return deadline
