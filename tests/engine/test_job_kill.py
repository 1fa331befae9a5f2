from __future__ import annotations

import io
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from cloudops.engine import job, logs

from .jobs import ENV, gone, python, running, until

SLEEP = python("import time; print('up'); time.sleep(60)")

#: Has a child in its group, one in a session of its own, and one there that also forgot its environment.
TREE = python("""
    import subprocess, time
    plain = subprocess.Popen(['sleep', '60'])
    away = subprocess.Popen(['sleep', '60'], start_new_session=True)
    bare = subprocess.Popen(['setsid', 'sh', '-c', 'sleep 60 & echo $!; exec sleep 60'], env={'PATH': '/usr/bin:/bin'})
    time.sleep(0.3)
    print('tree', plain.pid, away.pid, bare.pid, flush=True)
    time.sleep(60)
""")


def guardian(state: job.JobState) -> int:
    return psutil.Process(state.supervisor.pid).ppid()


def tree(folder: Path) -> list[int]:
    until(lambda: any(line.startswith("tree") for line in job.log_tail(folder)))
    return [int(word) for line in job.log_tail(folder) for word in line.split() if word.isdigit()]


CLIENT = """
import sys, time
from pathlib import Path
from cloudops.engine import job
spec = job.JobSpec((sys.executable, "-S", "-c", "import time; time.sleep(2); print('went on')"), cwd=sys.argv[1])
job.start(Path(sys.argv[1]), spec)
print("started", flush=True)
time.sleep(60)
"""


def test_the_job_goes_on_when_its_client_is_killed(jobs, tmp_path):
    folder = tmp_path / "job"
    jobs.folders.append(folder)
    client = subprocess.Popen([sys.executable, "-c", CLIENT, str(folder)], stdout=subprocess.PIPE)
    assert client.stdout.readline() == b"started\n"
    client.kill()
    client.communicate()
    assert job.wait(folder, 20).phase == "succeeded"
    assert job.log_tail(folder) == ["went on"]


class _Interrupted(io.TextIOWrapper):
    """The client's end of the supervisor's word, with Ctrl-C while it waits for it."""

    def read(self, size=-1):
        self.close()
        raise KeyboardInterrupt


def test_the_job_goes_on_when_its_client_goes_before_the_supervisor_has_said_ok(jobs, monkeypatch):
    def opening(file, mode="r", encoding=None):
        return _Interrupted(open(file, "rb")) if mode == "r" else open(file, mode, encoding=encoding)

    monkeypatch.setattr(job, "open", opening, raising=False)
    with pytest.raises(KeyboardInterrupt):
        jobs.start(python("print('went on')"), secrets={"KEY": "value"})
    [folder] = jobs.folders
    assert job.wait(folder, 20).phase == "succeeded"
    assert job.log_tail(folder) == ["went on"]


def test_the_job_goes_on_when_its_terminal_is_closed(jobs, tmp_path):
    folder = tmp_path / "job"
    jobs.folders.append(folder)
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-c", CLIENT, str(folder)], dict(os.environ))
    assert b"started" in os.read(terminal, 100)
    os.close(terminal)  # the kernel hangs up on the whole session
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGHUP
    assert job.wait(folder, 20).phase == "succeeded"


def test_a_killed_supervisor_takes_its_whole_job_with_it(jobs):
    folder = jobs.start(TREE)
    pids = tree(folder)
    assert len(pids) == 4
    state = job.read(folder)
    os.kill(state.supervisor.pid, signal.SIGKILL)
    # Nobody reads the state here: the guardian does it all.
    until(lambda: all(gone(pid) for pid in (*pids, *state.pids)))
    until(lambda: json.loads((folder / "state.json").read_text())["phase"] == "failed")
    lost = job.read(folder)
    assert (lost.phase, lost.reason) == ("failed", "lost: its supervisor was killed")
    assert lost.ended is not None
    assert job.cancel(folder) == lost


def test_a_job_whose_guardian_was_killed_too_is_ended_by_whoever_reads_it(jobs):
    folder = jobs.start(TREE, ranks=2)
    until(lambda: sum(line.startswith("tree") for line in job.log_tail(folder)) == 2)
    pids = tree(folder)
    state = job.read(folder)
    # The one that cleared its environment and left its group has no mark any more; only a guardian can find it.
    bare = [pid for pid in pids if b"CLOUDOPS_JOB_ID" not in Path(f"/proc/{pid}/environ").read_bytes()]
    os.kill(guardian(state), signal.SIGKILL)
    os.kill(state.supervisor.pid, signal.SIGKILL)
    until(lambda: gone(state.supervisor.pid))
    assert job.read(folder).reason == "lost: its supervisor was killed"
    assert all(gone(pid) for pid in state.pids)
    assert all(gone(pid) for pid in pids if pid not in bare)
    for pid in bare:
        os.kill(pid, signal.SIGKILL)


def test_many_readers_of_a_lost_job_agree(jobs):
    folder = jobs.start(SLEEP)
    state = running(folder, "up")
    os.kill(guardian(state), signal.SIGKILL)
    os.kill(state.supervisor.pid, signal.SIGKILL)
    until(lambda: gone(state.supervisor.pid))
    code = "import sys; from pathlib import Path; from cloudops.engine import job; print(job.read(Path(sys.argv[1])))"
    command = [sys.executable, "-c", code, str(folder)]
    readers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = {reader.communicate(timeout=30)[0] for reader in readers}
    assert answers == {f"{job.read(folder)}\n"}
    assert job.read(folder).phase == "failed"


def test_the_job_goes_on_when_only_its_guardian_is_killed(jobs):
    folder = jobs.start(python("import time; print('up'); time.sleep(1)"))
    os.kill(guardian(running(folder, "up")), signal.SIGKILL)
    assert job.wait(folder, 20).phase == "succeeded"


def test_a_supervisor_killed_while_it_prepares(jobs):
    folder = jobs.start(python("print('never')"), setup=(TREE,))
    pids = tree(folder)
    os.kill(job.read(folder).supervisor.pid, signal.SIGKILL)
    assert until(lambda: job.read(folder).final)
    assert job.read(folder).phase == "failed"
    assert all(gone(pid) for pid in pids)


def test_a_follower_of_a_lost_job_gets_its_lines_and_the_end(jobs):
    folder = jobs.start(SLEEP)
    records = logs.follow(folder, done=lambda: job.read(folder).final, poll=0.02)
    assert next(records).text == "up"
    os.kill(job.read(folder).supervisor.pid, signal.SIGKILL)
    assert list(records) == []


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, b'{"phase": "runn', b"[1, 2]", b'{"phase": 3', None])
def test_a_damaged_state_of_a_running_job_heals(jobs, content):
    folder = jobs.start(SLEEP)
    before = running(folder, "up")
    if content is None:
        (folder / "state.json").unlink()
    else:
        (folder / "state.json").write_bytes(content)
    assert not job.read(folder).final
    assert until(lambda: job.read(folder) == before)
    assert job.cancel(folder, wait=10).phase == "cancelled"


@pytest.mark.parametrize("content", [b"", b"not json", None])
def test_a_damaged_state_of_a_dead_job_is_a_failure(jobs, content):
    folder = jobs.start(SLEEP)
    state = running(folder, "up")
    os.kill(guardian(state), signal.SIGKILL)
    os.kill(state.supervisor.pid, signal.SIGKILL)
    until(lambda: gone(state.supervisor.pid))
    (folder / "state.json").unlink()
    if content is not None:
        (folder / "state.json").write_bytes(content)
    lost = job.read(folder)
    assert lost.phase == "failed"
    assert lost.reason.startswith("lost: ")
    assert ("damaged" in lost.reason) == (content is not None)
    assert job.read(folder) == lost


def test_a_job_whose_folder_is_removed_ends(jobs):
    folder = jobs.start(SLEEP)
    state = running(folder, "up")
    shutil.rmtree(folder)
    until(lambda: gone(state.supervisor.pid))
    assert gone(state.pids[0])
    assert not folder.exists()


def test_a_process_of_the_recorded_number_that_is_another_is_left_alone(jobs):
    folder = jobs.start(SLEEP)
    state = running(folder, "up")
    job.cancel(folder, wait=10)
    until(lambda: gone(state.supervisor.pid))
    # As if the machine had given the rank's number to somebody else since.
    other = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        text = json.loads((folder / "state.json").read_text())
        rank = {**text["supervisor"], "pid": other.pid, "started": time.time() + 3600, "stamp": "another boot:1"}
        (folder / "state.json").write_text(
            json.dumps({**text, "phase": "running", "ranks": [rank], "supervisor": rank})
        )
        assert job.read(folder).phase == "failed"
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


FULL = """
import json, sys, time
from dataclasses import asdict
from pathlib import Path
from cloudops.engine import job

root = Path(sys.argv[1])
code = '''
import os, sys, time
print("before", flush=True)
time.sleep(0.3)
file = os.open("ballast", os.O_WRONLY | os.O_CREAT)
try:
    while True: os.write(file, b"x" * 4096)
except OSError:
    pass
for i in range(2000): print("lost line", i, "x" * 100)
sys.stdout.flush()
time.sleep(0.5)
if sys.argv[1] == "free":
    os.truncate("ballast", 0)
    print("after", flush=True)
sys.exit(int(sys.argv[2]))
'''
spec = job.JobSpec((sys.executable, "-S", "-c", code, *sys.argv[2:]), cwd=str(root / "cwd"), env={})
job.start(root / "job", spec)
state = job.wait(root / "job", 20)
print(json.dumps({**asdict(state), "log": job.log_tail(root / "job", 5000)}))
while __import__("subprocess").run(["pgrep", "-f", str(root / "job")], capture_output=True).returncode == 0:
    time.sleep(0.05)
"""


def on_a_small_disk(tmp_path: Path, script: str, *arguments: str) -> dict[str, object]:
    """What ``script`` prints when its folder is on a file system of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = f'mount -t tmpfs -o size=1m none "{disk}" && exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", mount, "sh", sys.executable, "-c", script, str(disk), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=ENV)
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"cannot make a small disk here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("code", "phase"), [("0", "succeeded"), ("3", "failed")])
def test_a_full_disk_loses_log_lines_but_not_the_end(tmp_path, code, phase):
    state = on_a_small_disk(tmp_path, FULL, "keep", code)
    assert (state["phase"], state["exit_code"]) == (phase, int(code))
    assert state["ended"] is not None
    assert state["log"][0] == "before"
    assert state["warning"].endswith("lines of the log were lost: No space left on device")


def test_a_disk_that_was_full_for_a_while_leaves_a_notice_in_each_gap(tmp_path):
    state = on_a_small_disk(tmp_path, FULL, "free", "0")
    assert state["log"][-1] == "after"
    notices = [line for line in state["log"] if line.endswith("lines are missing here: No space left on device")]
    assert 1 <= len(notices) < 10
    lost = int(state["warning"].split()[0])
    assert sum(int(line.split()[1]) for line in notices) == lost
    kept = [line for line in state["log"] if line.startswith("lost line")]
    assert len(kept) + lost == 2000


STARTS_WHEN_FULL = """
import json, os, sys
from pathlib import Path
from cloudops.engine import job

root = Path(sys.argv[1])
file = os.open(root / "ballast", os.O_WRONLY | os.O_CREAT)
try:
    while True: os.write(file, b"x" * 4096)
except OSError:
    pass
spec = job.JobSpec(("true",), cwd=str(root / "cwd"))
try:
    job.start(root / "job", spec)
except OSError as error:
    refused = str(error)
left = [path.name for path in (root / "job").glob("*.json")]
os.truncate(root / "ballast", 0)
job.start(root / "job", spec)
print(json.dumps({"refused": refused, "left": left, "then": job.wait(root / "job", 20).phase}))
"""


def test_a_start_on_a_full_disk_says_so_and_leaves_no_job(tmp_path):
    seen = on_a_small_disk(tmp_path, STARTS_WHEN_FULL)
    assert "No space left on device" in seen["refused"]
    assert seen["left"] == []
    assert seen["then"] == "succeeded"
