from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import psutil
import pytest

from cloudops.engine.files import Lock, locked, read_json, write_json
from cloudops.engine.process import (
    ProcessId,
    descendants,
    end_group,
    environments,
    group_members,
    kill_until_gone,
    spawn_detached,
)

from .jobs import gone, until

SLEEP = ("sleep", "60")


@pytest.fixture
def sleeper():
    process = subprocess.Popen(SLEEP, start_new_session=True)
    yield process
    process.kill()
    process.wait()


def test_a_process_is_known_by_more_than_its_number(sleeper):
    one = ProcessId.of(sleeper.pid)
    assert one.alive()
    assert ProcessId.from_json(json.loads(json.dumps(one.to_json()))) == one
    assert abs(one.started - psutil.Process(sleeper.pid).create_time()) < 0.05
    assert not replace(one, stamp="another boot:1").alive()
    boot, _, ticks = one.stamp.rpartition(":")
    assert not replace(one, stamp=f"{boot}:{int(ticks) - 1}").alive()


def test_setting_the_clock_does_not_change_who_a_process_is(sleeper):
    assert replace(ProcessId.of(sleeper.pid), started=0.0).alive()


def test_an_identity_without_a_stamp_goes_by_the_start_time(sleeper):
    started = psutil.Process(sleeper.pid).create_time()
    assert ProcessId(sleeper.pid, started) == ProcessId.of(sleeper.pid)
    assert ProcessId(sleeper.pid, started).alive()
    assert not ProcessId(sleeper.pid, started - 5).alive()
    assert ProcessId.from_json(None) is None


def test_a_zombie_is_not_alive(sleeper):
    one = ProcessId.of(sleeper.pid)
    plain = ProcessId(one.pid, one.started)
    sleeper.kill()
    until(lambda: not one.alive())
    assert not plain.alive()
    assert ProcessId.of(sleeper.pid).pid == sleeper.pid  # it can still be named
    sleeper.wait()
    assert not plain.alive()
    with pytest.raises(ProcessLookupError):
        ProcessId.of(sleeper.pid)


def test_signals_reach_that_process_only(sleeper):
    one = ProcessId.of(sleeper.pid)
    assert replace(one, stamp="another boot:1").send(signal.SIGKILL) is False
    assert sleeper.poll() is None
    assert one.send(signal.SIGTERM) is True
    assert sleeper.wait() == -signal.SIGTERM
    assert one.send(signal.SIGTERM) is False


def test_a_detached_process_has_its_own_session_and_writes_to_its_log(tmp_path):
    log = tmp_path / "the log"
    pid = spawn_detached(["sh", "-c", "echo $FOO; pwd; cat"], log=log, cwd=tmp_path, env={"FOO": "bar"})
    assert until(lambda: log.read_text().count("\n") == 2)
    assert log.read_text() == f"bar\n{tmp_path}\n"
    os.waitpid(pid, 0)
    pid = spawn_detached(SLEEP, log=log)
    assert os.getsid(pid) == pid
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_program_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        spawn_detached(["no such program"], log=tmp_path / "log")


def test_a_group_is_ended_with_the_children_that_left_it(tmp_path):
    script = "setsid sleep 60 & sleep 60 & wait"
    leader = subprocess.Popen(["sh", "-c", script], start_new_session=True)
    one = ProcessId.of(leader.pid)
    until(lambda: len(group_members(one)) == 3)
    pids = [process.pid for process in group_members(one)]
    threading.Thread(target=leader.wait).start()
    end_group(one, grace=5)
    assert all(gone(pid) for pid in pids)
    end_group(one, grace=5)
    end_group(None, grace=5)


def test_a_group_whose_leader_is_gone_is_still_ended():
    leader = subprocess.Popen(["sh", "-c", "sleep 60 & echo $!"], start_new_session=True, stdout=subprocess.PIPE)
    one = ProcessId.of(leader.pid)
    child = int(leader.stdout.readline())
    leader.wait()
    leader.stdout.close()
    assert not gone(child)
    end_group(one, grace=0)
    assert gone(child)


def test_a_group_of_another_boot_or_of_older_processes_is_left_alone(sleeper):
    one = ProcessId.of(sleeper.pid)
    boot, _, ticks = one.stamp.rpartition(":")
    for other in (
        replace(one, stamp="another boot:1"),
        replace(one, stamp=f"{boot}:{int(ticks) + 1000}"),
        ProcessId(one.pid, one.started + 10),
    ):
        assert group_members(other) == []
        end_group(other, grace=0)
    assert sleeper.poll() is None


def test_the_grace_is_given():
    trap = "trap 'sleep 0.3; echo saved; exit' TERM; echo up; while true; do sleep 0.05; done"
    leader = subprocess.Popen(["bash", "-c", trap], start_new_session=True, stdout=subprocess.PIPE)
    leader.stdout.readline()
    began = time.monotonic()
    end_group(ProcessId.of(leader.pid), grace=10)
    assert leader.communicate()[0] == b"saved\n"
    assert time.monotonic() - began < 5


def test_what_ignores_sigterm_is_killed_after_the_grace():
    leader = subprocess.Popen(
        [
            sys.executable,
            "-S",
            "-c",
            "import signal, time; signal.signal(15, 1); print('up', flush=True); time.sleep(60)",
        ],
        start_new_session=True,
        stdout=subprocess.PIPE,
    )
    leader.stdout.readline()
    end_group(ProcessId.of(leader.pid), grace=0.2)
    assert leader.wait(5) == -signal.SIGKILL
    leader.stdout.close()


def test_descendants_and_marks():
    mark = f"MARK_{os.getpid()}"
    outer = subprocess.Popen(["sh", "-c", "sleep 60 & wait"], env={"PATH": os.environ["PATH"], mark: "x"})
    (inner,) = until(lambda: descendants(outer.pid))
    assert inner.pid in {process.pid for process in descendants(os.getpid())}
    assert {process.pid for process, environment in environments(mark) if environment[mark] == "x"} == {
        outer.pid,
        inner.pid,
    }
    assert kill_until_gone(lambda: [process for process, _ in environments(mark)])
    assert outer.wait() == -signal.SIGKILL
    assert descendants(outer.pid) == []


def test_killing_gives_up_on_what_cannot_be_killed_and_spares_this_process():
    class Undead:
        pid = 0
        is_running = staticmethod(lambda: True)
        status = staticmethod(lambda: psutil.STATUS_DISK_SLEEP)
        send_signal = staticmethod(lambda _: None)

    assert kill_until_gone(lambda: [Undead()], timeout=0.05) is False
    assert kill_until_gone(lambda: [psutil.Process()]) is True


# Files and locks


def test_a_lock_is_held_by_one(tmp_path):
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    assert not first.held_by_someone()
    assert first.acquire()
    assert first.held_by_someone()
    assert second.held_by_someone()
    assert not second.acquire()
    first.release()
    first.release()
    assert not second.held_by_someone()
    assert second.acquire()
    second.release()


def test_those_who_only_look_do_not_keep_a_lock_from_being_taken(tmp_path):
    (tmp_path / "lock").touch()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            assert isinstance(Lock(tmp_path / "lock").held_by_someone(), bool)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    try:
        for _ in range(300):
            lock = Lock(tmp_path / "lock")
            assert lock.acquire()
            lock.release()
    finally:
        stop.set()
        for looker in lookers:
            looker.join()


def test_a_child_that_inherits_a_lock_holds_it_on(tmp_path):
    lock = Lock(tmp_path / "lock")
    assert lock.acquire()
    child = subprocess.Popen(SLEEP, pass_fds=[lock.descriptor])
    lock.release()
    assert Lock(tmp_path / "lock").held_by_someone()
    child.kill()
    child.wait()
    assert not Lock(tmp_path / "lock").held_by_someone()


def test_locked_waits(tmp_path):
    order = []

    def other() -> None:
        with locked(tmp_path / "lock"):
            order.append("other")

    with locked(tmp_path / "lock"):
        thread = threading.Thread(target=other)
        thread.start()
        time.sleep(0.05)
        order.append("first")
    thread.join()
    assert order == ["first", "other"]


def test_json_files(tmp_path):
    path = tmp_path / "ä file.json"
    assert read_json(path) is None
    write_json(path, {"ü": [1, None]})
    assert read_json(path) == {"ü": [1, None]}
    path.write_text("{")
    with pytest.raises(ValueError, match=r"ä file.json is damaged \(not JSON"):
        read_json(path)


def test_a_json_file_that_cannot_be_replaced_is_untouched(tmp_path):
    write_json(tmp_path / "a.json", 1)
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", object())
    with pytest.raises(FileNotFoundError):
        write_json(tmp_path / "missing" / "a.json", 1)
    assert read_json(tmp_path / "a.json") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]
