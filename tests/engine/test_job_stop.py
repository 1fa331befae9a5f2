from __future__ import annotations

import json
import os
import shlex
import signal
import sys
import time
from pathlib import Path

import pytest

from cloudops.engine import job

from .jobs import gone, python, running, until

SLEEP = python("import time; print('up', flush=True); time.sleep(60)")

#: Saves its work on SIGTERM, which takes a moment.
SAVES = python("""
    import os, pathlib, signal, sys, time
    kept = pathlib.Path(os.environ['KEPT'])
    def save(*_):
        time.sleep(0.3)
        kept.write_text('saved')
        sys.exit(0)
    signal.signal(signal.SIGTERM, save)
    print('resumed' if kept.exists() else 'up', flush=True)
    time.sleep(0 if kept.exists() else 60)
""")

#: Ignores SIGTERM.
STUBBORN = python("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); time.sleep(60)")


def test_cancel_lets_the_job_save_its_work(jobs, tmp_path):
    folder = jobs.start(SAVES, env={"KEPT": str(tmp_path / "kept")})
    (pid,) = running(folder, "up").pids
    state = job.cancel(folder, wait=10)
    assert (state.phase, state.reason, state.exit_code) == ("cancelled", "cancelled", None)
    assert (tmp_path / "kept").read_text() == "saved"
    assert gone(pid)


def test_cancel_returns_at_once_unless_asked_to_wait(jobs, tmp_path):
    folder = jobs.start(SAVES, env={"KEPT": str(tmp_path / "kept")})
    running(folder, "up")
    assert not job.cancel(folder).final
    assert until(lambda: job.read(folder).phase == "stopping")
    assert job.read(folder).reason == "cancelled"
    assert job.wait(folder, 10).phase == "cancelled"


def test_cancel_kills_what_ignores_it_when_the_grace_is_over(jobs):
    folder = jobs.start(STUBBORN, grace=0.5)
    (pid,) = running(folder, "up").pids
    began = time.monotonic()
    assert job.cancel(folder, wait=10).phase == "cancelled"
    assert 0.4 < time.monotonic() - began < 5
    assert gone(pid)


def test_cancel_twice_and_after_the_end(jobs):
    folder = jobs.start(STUBBORN, grace=0.5)
    running(folder, "up")
    job.cancel(folder)
    assert job.cancel(folder, wait=10).phase == "cancelled"
    first = job.read(folder)
    assert job.cancel(folder, wait=10) == first == job.cancel(folder)
    done = jobs.start(python("print(1)"), "done")
    job.wait(done, 20)
    assert job.cancel(done).phase == "succeeded"


def test_cancel_right_after_the_start(jobs, tmp_path):
    folder = jobs.start(python(f"open({str(tmp_path / 'ran')!r}, 'w'); import time; time.sleep(60)"))
    assert job.cancel(folder, wait=10).phase == "cancelled"


def test_cancel_while_preparing(jobs):
    folder = jobs.start(python("print('never')"), setup=(SLEEP,), retries=3)
    running(folder, "up")
    assert job.read(folder).phase == "preparing"
    state = job.cancel(folder, wait=10)
    assert (state.phase, state.attempt) == ("cancelled", 0)
    assert job.log_tail(folder) == ["up"]


def test_cancel_while_another_end_is_under_way_is_not_followed_by_a_retry(jobs):
    code = """
        import os, signal, sys, time
        if os.environ['CLOUDOPS_RANK'] == '1':
            time.sleep(0.5)
            sys.exit(1)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print('up', flush=True)
        time.sleep(60)
    """
    folder = jobs.start(python(code), ranks=2, retries=5, grace=1)
    until(lambda: job.read(folder).phase == "stopping")
    state = job.cancel(folder, wait=10)
    assert (state.phase, state.attempt) == ("cancelled", 1)


def test_an_interruption_starts_the_attempt_again_without_using_a_retry(jobs, tmp_path):
    folder = jobs.start(SAVES, env={"KEPT": str(tmp_path / "kept")}, retries=0)
    running(folder, "up")
    assert job.interrupt(folder) is True
    state = job.wait(folder, 15)
    assert (state.phase, state.attempt, state.reason) == ("succeeded", 2, "")
    assert job.log_tail(folder) == ["up", "[cloudops] attempt 1 ended: interrupted; starting it again", "resumed"]
    assert job.interrupt(folder) is False


def test_an_interruption_kills_what_ignores_it(jobs):
    folder = jobs.start(STUBBORN, grace=0.3)
    (pid,) = running(folder, "up").pids
    job.interrupt(folder)
    until(lambda: job.read(folder).attempt == 2)
    assert gone(pid)


def test_interruptions_of_a_preparing_job_are_ignored(jobs):
    folder = jobs.start(python("print('ran')"), setup=(python("import time; print('up'); time.sleep(1)"),))
    running(folder, "up")
    assert job.interrupt(folder) is False
    state = job.wait(folder, 15)
    assert (state.phase, state.attempt) == ("succeeded", 1)


def test_the_timeout_counts_for_the_attempt_and_is_final(jobs):
    slow = python("import time; time.sleep(1.2)")
    state = jobs.run(SLEEP, timeout=1, grace=0.5, retries=3, setup=(slow,))
    assert (state.phase, state.reason, state.attempt) == ("failed", "timeout after 1 s", 1)
    assert 0.9 < state.ended - state.started < 6


def test_a_job_in_time_is_not_stopped(jobs):
    assert jobs.run(python("import time; time.sleep(0.3)"), timeout=20).phase == "succeeded"


def test_the_grace_holds_for_children_of_a_command_that_ends_at_once(jobs, tmp_path):
    # The shell dies of SIGTERM while its child still saves.
    shell = ("sh", "-c", '"$@"; echo done', "sh", *SAVES)
    folder = jobs.start(shell, env={"KEPT": str(tmp_path / "kept")})
    running(folder, "up")
    job.cancel(folder, wait=10)
    assert (tmp_path / "kept").read_text() == "saved"


#: Notes each SIGTERM in a file of its own, and takes a moment to save.
COUNTS = """
import os, pathlib, signal, sys, time
name = sys.argv[1]
def save(*_):
    with open(name, "a") as file:
        file.write("told ")
    time.sleep(0.5)
    with open(name, "a") as file:
        file.write("saved")
    sys.exit()
signal.signal(signal.SIGTERM, save)
open(name, "w").close()
time.sleep(60)
"""


@pytest.mark.parametrize("command", ["{0} a & {0} b", "exec {0} a", "{0} a & setsid {0} b", "set -m; {0} a & {0} b"])
def test_each_process_of_the_runtimes_command_is_told_once(jobs, tmp_path, command):
    (tmp_path / "counts.py").write_text(COUNTS)
    text = command.format(f"{sys.executable} {tmp_path}/counts.py")
    (tmp_path / "JOB.json").write_text(json.dumps({"command": f"cd {tmp_path}; {text}"}))
    # Not the default grace: a process that nobody tells would only be killed after it.
    argv = (sys.executable, "-m", "cloudops.runtime", "train", str(tmp_path / "JOB.json"))
    folder = jobs.start(argv, grace=30)
    names = [name for name in "ab" if f" {name}" in command]
    until(lambda: all((tmp_path / name).exists() for name in names))
    assert job.cancel(folder, wait=15).phase == "cancelled"
    assert {name: (tmp_path / name).read_text() for name in names} == dict.fromkeys(names, "told saved")


def test_a_script_under_the_runtime_that_ignores_the_signal_has_the_grace(jobs, tmp_path):
    text = "trap '' TERM; echo up; sleep 0.6; touch late; sleep 60"
    (tmp_path / "JOB.json").write_text(json.dumps({"command": f"cd {tmp_path}; sh -c {shlex.quote(text)}; touch next"}))
    folder = jobs.start((sys.executable, "-m", "cloudops.runtime", "train", str(tmp_path / "JOB.json")), grace=1.2)
    running(folder, "up")
    assert job.cancel(folder, wait=10).phase == "cancelled"
    assert (tmp_path / "late").exists()
    assert not (tmp_path / "next").exists()


def test_what_a_finished_job_leaves_running_is_ended(jobs):
    code = """
        import subprocess, sys
        child = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'], start_new_session=True)
        print(child.pid)
    """
    state = jobs.run(python(code))
    assert (state.phase, state.exit_code) == ("succeeded", 0)
    assert gone(int(job.log_tail(jobs.root / "job")[0]))
    assert state.ended - state.started < 5


def test_a_supervisor_that_is_told_to_end_ends_its_job(jobs):
    folder = jobs.start(SLEEP, retries=3)
    state = running(folder, "up")
    os.kill(state.supervisor.pid, signal.SIGTERM)
    ended = job.wait(folder, 10)
    assert (ended.phase, ended.reason) == ("failed", "the machine ended its supervisor (SIGTERM)")
    assert gone(state.pids[0])


@pytest.mark.parametrize("ranks", [1, 3])
def test_nothing_is_left_of_a_cancelled_job(jobs, ranks):
    code = """
        import subprocess, sys, time
        children = [subprocess.Popen(['sleep', '60'], start_new_session=bool(i % 2)) for i in range(4)]
        print(*(child.pid for child in children), flush=True)
        time.sleep(60)
    """
    folder = jobs.start(python(code), ranks=ranks)
    lines = until(lambda: len(found := job.log_tail(folder)) == ranks and found)
    pids = [int(word) for line in lines for word in line.split()]
    assert len(pids) == 4 * ranks
    state = job.read(folder)
    job.cancel(folder, wait=10)
    assert all(gone(pid) for pid in (*pids, *state.pids))
    until(lambda: gone(state.supervisor.pid))
    assert not [path for path in Path("/proc").glob("[0-9]*/environ") if _names(path, state.id)]


def _names(path: Path, marker: str) -> bool:
    try:
        return marker.encode() in path.read_bytes()
    except OSError:
        return False
