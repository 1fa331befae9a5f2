"""Whoever is killed, nothing of the offline clouds goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from cloudops.engine import service
from cloudops.engine.service_find import find
from cloudops.offline import OfflineCloud, guardian

from .conftest import FAKE, Shell

#: A job that leaves its group, clears its environment and hides behind a parent that ends; it tells its pids.
JOB = """
import os, subprocess, sys, time
hidden = "import os, time; os.setsid(); open('hidden', 'w').write(str(os.getpid())); time.sleep(600)"
parent = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {hidden!r}], env={{}})"
subprocess.Popen([sys.executable, "-c", parent], env={})
while not (os.path.exists("hidden") and open("hidden").read()): time.sleep(0.01)
open("pids", "w").write(f"{os.getpid()} {open('hidden').read()}")
time.sleep(600)
"""


def until(true: Callable[[], Any], patience: float = 20.0) -> None:
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def hidden_job(name: str = "one") -> list[int]:
    """Start the job and return its processes."""
    answer = requests.post(f"https://api.fake.test/jobs/{name}", data=json.dumps(JOB), timeout=30)
    pids = Path(answer.json()["folder"]) / "work" / "pids"
    until(pids.exists)
    until(lambda: len(pids.read_text().split()) == 2)
    return [int(word) for word in pids.read_text().split()]


def server_of(environ: dict[str, str] | os._Environ[str]) -> int:
    return int(json.loads(Path(environ["CLOUDOPS_OFFLINE_RECORD"]).read_text())["process"]["pid"])


def test_jobs_end_with_a_reset_and_with_the_server() -> None:
    with OfflineCloud(emulators=[FAKE]) as cloud, cloud.active():
        pids = hidden_job()
        cloud.reset()
        assert all(gone(pid) for pid in pids)
        pids = hidden_job("two")
        server = server_of(os.environ)
    assert all(gone(pid) for pid in [*pids, server])


def test_jobs_end_with_a_server_that_is_killed() -> None:
    cloud = OfflineCloud(emulators=[FAKE]).start()
    with cloud.active():
        pids = hidden_job()
        folder = Path(os.environ["CLOUDOPS_OFFLINE_RECORD"]).parent
        os.kill(server_of(os.environ), signal.SIGKILL)
        until(lambda: all(gone(pid) for pid in pids))
        until(lambda: not folder.exists())
    cloud.stop()


#: A replica: listens, tells where, and answers its health checks.
SERVE = """
import http.server, json, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
server = http.server.ThreadingHTTPServer((os.environ["CLOUDOPS_HOST"], int(os.environ["CLOUDOPS_PORT"])), Handler)
with open(os.environ["CLOUDOPS_READY_FILE"] + ".new", "w") as file:
    json.dump({"port": server.server_address[1], "pid": os.getpid()}, file)
os.rename(os.environ["CLOUDOPS_READY_FILE"] + ".new", os.environ["CLOUDOPS_READY_FILE"])
server.serve_forever()
"""


def test_the_guardian_ends_endpoints_and_no_neighbour(tmp_path: Path) -> None:
    version = service.VersionSpec("one", (sys.executable, "-c", SERVE))
    mine, neighbour = tmp_path / "cloud" / "deep" / "endpoint", tmp_path / "cloud-2" / "endpoint"
    try:
        for folder in (mine, neighbour):
            service.wait(folder, service.deploy(folder, version), timeout=60)
        assert {service.read(folder).phase for folder in (mine, neighbour)} == {"ready"}
        processes = [one.process.pid for one in find(mine.resolve())]
        assert len(processes) >= 3  # supervisor, router, replica
        guardian.sweep((tmp_path / "cloud").resolve())
        assert all(gone(pid) for pid in processes)
        assert service.read(neighbour).phase == "ready"
    finally:
        for folder in (mine, neighbour):
            service.delete(folder)


def test_a_job_sees_the_proxy_and_no_credentials(cloud: OfflineCloud) -> None:
    code = "import json, os; json.dump(dict(os.environ), open('environ', 'w'))"
    answer = requests.post("https://api.fake.test/jobs/one", data=json.dumps(code), timeout=30)
    written = Path(answer.json()["folder"]) / "work" / "environ"
    until(lambda: cloud.resources("fake")[-1].state == "succeeded")
    environ = json.loads(written.read_text())
    assert environ["HTTPS_PROXY"] == os.environ["HTTPS_PROXY"]
    assert "FAKE_KEY" not in environ
    assert "CLOUDOPS_OFFLINE" not in environ


_USER = f"""
import os, sys, time
from cloudops.engine import service
from cloudops.engine.service_find import find
from cloudops.offline import OfflineCloud, guardian
with OfflineCloud(emulators=[{FAKE!r}]) as cloud, cloud.active():
    from offline.test_deaths import hidden_job, server_of
    print(*hidden_job(), server_of(os.environ), flush=True)
    time.sleep(600)
"""


def test_all_ends_with_a_program_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", _USER], stdout=subprocess.PIPE, text=True) as user:
        assert user.stdout is not None
        pids = [int(word) for word in user.stdout.readline().split()]
        assert len(pids) == 3
        user.kill()
        until(lambda: all(gone(pid) for pid in pids))


def test_all_ends_with_a_run_that_is_killed(shell: Shell) -> None:
    script = "import os; from offline.test_deaths import *; print(*hidden_job(), server_of(os.environ), flush=True)"
    run = shell.start("offline", "run", "--emulator", FAKE, "--", sys.executable, "-c", f"{script}; time.sleep(2)")
    assert run.stdout is not None
    pids = [int(word) for word in run.stdout.readline().split()]
    run.kill()
    until(lambda: all(gone(pid) for pid in pids))
    run.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_server_with_all_that_it_runs(number: int) -> None:
    cloud = OfflineCloud(emulators=[FAKE]).start()
    with cloud.active():
        pids = hidden_job()
        server, folder = server_of(os.environ), Path(os.environ["CLOUDOPS_OFFLINE_RECORD"]).parent
        os.kill(server, number)
        until(lambda: all(gone(pid) for pid in [*pids, server]))
        assert not folder.exists()
    cloud.stop()
