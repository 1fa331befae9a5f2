"""An endpoint whose files are removed or damaged while it runs: it ends, or says so, and leaves no process behind."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloudops.engine import service
from cloudops.engine.service import ServiceState
from cloudops.engine.service_paths import Paths
from cloudops.engine.service_types import Desired
from cloudops.engine.service_watch import DesiredFile

from .jobs import gone
from .service_rig import Endpoint, endpoint, spec, until


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Endpoint]:
    with endpoint(tmp_path / "endpoint") as made:
        yield made


def _kill_both(state: ServiceState) -> None:
    """Kill supervisor and router so that neither replaces the other."""
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for process in (state.router, state.supervisor):
            os.kill(process or 0, number)
    until(lambda: gone(state.router or 0) and gone(state.supervisor or 0))


@pytest.mark.parametrize("lost", ["desired.json", "."])
def test_what_nobody_can_address_any_more_ends_after_its_requests(one: Endpoint, lost: str) -> None:
    from threading import Thread

    one.up(spec("v1"))
    answers = []
    client = Thread(target=lambda: answers.append(one.ask("/sleep", b"3")))
    client.start()
    time.sleep(0.3)
    path = one.directory / lost
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    until(lambda: not one.processes(), what="everything ends")
    client.join()
    assert [answer.status for answer in answers] == [200]


def test_router_ends_the_replicas_where_there_is_no_supervisor_to_do_it(one: Endpoint) -> None:
    state = one.up(spec("v1"))
    assert state.router is not None
    assert one.ask().status == 200, "the router is at work"
    os.kill(state.router, signal.SIGSTOP)
    one.kill(state.supervisor)
    shutil.rmtree(one.directory)
    os.kill(state.router, signal.SIGCONT)
    until(lambda: not one.processes(), what="everything ends")


def test_deployment_in_the_place_of_a_removed_endpoint_sweeps_it(one: Endpoint) -> None:
    before = one.up(spec("v1"))
    shutil.rmtree(one.directory)
    after = one.up(spec("v1"))
    assert (after.phase, after.generation) == ("ready", 1)
    assert len(one.processes()) == 3
    assert after.version("v1").replicas[0].pid != before.version("v1").replicas[0].pid
    assert one.state == after, "nobody fights over it"


def test_replicas_of_another_life_are_not_adopted(one: Endpoint) -> None:
    state = one.up(spec("v1", env={"COLOUR": "red"}))
    _kill_both(state)
    (one.directory / "desired.json").unlink()
    assert one.up(spec("v1", env={"COLOUR": "blue"})).phase == "ready"
    assert {one.ask().value["environment"]["COLOUR"] for _ in range(5)} == {"blue"}
    assert len(one.processes()) == 3


@pytest.mark.parametrize("lost", ["desired.json", "observed.json desired.json", "."])
def test_delete_finds_the_processes_of_lost_files(one: Endpoint, lost: str) -> None:
    _kill_both(one.up(spec("v1")))
    for name in lost.split():
        path = one.directory / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert len(one.processes()) == 1
    service.delete(one.directory)
    assert one.processes() == []
    assert one.directory.exists() is (lost != ".")


@pytest.mark.parametrize("also", [False, True])
def test_delete_ends_an_endpoint_whose_files_are_damaged(one: Endpoint, also: bool) -> None:
    _kill_both(one.up(spec("v1")))
    (one.directory / "desired.json").write_text("nonsense")
    if also:
        (one.directory / "observed.json").write_text("nonsense")
    service.delete(one.directory)
    assert one.processes() == []


def test_damaged_file_is_told_and_what_it_said_is_served_on(one: Endpoint) -> None:
    before = one.up(spec("v1"))
    (one.directory / "desired.json").write_text("nonsense")
    state = until(lambda: (found := one.state).reason and found)
    assert (state.phase, state.generation) == ("ready", before.generation)
    assert "desired.json is damaged (ValueError); deploy again to mend it" in state.reason
    assert state.reason.endswith("until then it serves what was asked for before")
    one.kill(state.supervisor)
    again = until(lambda: (found := one.state).supervisor not in (None, before.supervisor) and found.reason and found)
    assert again.version("v1").replicas == before.version("v1").replicas
    one.kill(one.ask().value["pid"])
    until(lambda: one.state.version("v1").replicas[0].restarts == 1 and one.ask().status == 200)
    service.deploy(one.directory, spec("v1"))
    until(lambda: one.state.reason == "", what="deploying again mends it")
    assert one.up(spec("v2")).version("v2").traffic == 100


def test_file_is_gone_only_after_a_while_and_more_than_one_look(tmp_path: Path) -> None:
    paths = Paths(tmp_path)
    desired = Desired(1, 0, 0.0, {}, {}, "deploy", life="mine")
    file = DesiredFile(paths, "mine", patience=1.0)
    file.look(0.0)
    file.look(100.0)
    assert not file.gone, "the machine slept"
    file.look(100.1)
    assert file.gone
    paths.write_desired(desired)
    assert (file.look(101.0), file.gone) == (desired, False)
    assert file.look(102.0) is None, "nothing new"
    paths.write_desired(replace(desired, life="of another"))
    for now in (103.0, 103.5, 104.0):
        assert (file.look(now), file.gone) == (None, now == 104.0)
