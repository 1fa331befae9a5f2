"""The life of a serving process: loading, failing to load, draining, being killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cloudops.runtime.archive import build

from .rig import PREDICTOR, SERVERS, Running, python39, send, serving, start, wait_for

SLOW_TO_LOAD = """
import pathlib, time
def load(model_dir):
    while not pathlib.Path(model_dir, "go").exists():
        time.sleep(0.01)
def predict(model, instances):
    return instances
"""


def sleeping(running: Running, seconds: float, results: list[object]) -> threading.Thread:
    """A request that takes that long, begun in a thread and under way when this returns."""
    body = [{"mode": "slow", "seconds": seconds}]

    def work() -> None:
        try:
            results.append(running.request("POST", "/invocations", body))
        except OSError as error:
            results.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(lambda: "in_flight{" in in_flight(running) and not in_flight(running).endswith(" 1"))
    return thread


def in_flight(running: Running) -> str:
    text = running.request("GET", "/metrics").body.decode()
    return next(line for line in text.splitlines() if line.startswith("cloudops_requests_in_flight{"))


@pytest.mark.parametrize("server", SERVERS)
def test_while_the_model_loads(server: str, tmp_path: Path) -> None:
    running = start(tmp_path, server, SLOW_TO_LOAD)
    try:
        for path in ("/ping", "/readyz", "/", "/v2/health/ready", "/v2/models/model"):
            assert running.request("GET", path).status == 503
        answer = running.request("POST", "/invocations", b"not even json")
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        assert answer.error == "the model is being loaded; try again in a moment"
        assert running.request("GET", "/livez").status == 200
        assert 'cloudops_ready{model="model",version="1"} 0' in running.request("GET", "/metrics").body.decode()
        (tmp_path / "model" / "go").touch()
        wait_for(lambda: running.request("GET", "/ping").status == 200)
        assert running.request("POST", "/invocations", [1]).json() == {"predictions": [1]}
        assert running.stop() == 0
    finally:
        running.process.kill()


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize(
    ("predictor", "message", "traceback"),
    [
        ("def load(d): raise RuntimeError('no weights')\ndef predict(m, i): ...", "RuntimeError: no weights", True),
        ("import sys; sys.exit(1)", "SystemExit: 1", True),
        ("def predict(m, i): ...", "predictor.py has no function load(model_dir)", False),
        ("def load(d): ...", "predictor.py has no function predict(model, instances)", False),
        ("def load(): ...\ndef predict(m, i): ...", "must define load(model_dir); its load takes 0 arguments", False),
        (None, "has no model that is understood (it is empty); understood are MLflow: MLmodel", False),
    ],
)
def test_a_model_that_cannot_be_loaded(
    server: str, tmp_path: Path, predictor: str | None, message: str, traceback: bool
) -> None:
    running = start(tmp_path, server, predictor)
    assert running.process.wait(30) == 3
    (line,) = [line for line in running.log().splitlines() if line.startswith("[cloudops] error: ")]
    assert line.startswith("[cloudops] error: the model could not be loaded: ")
    assert message in line
    assert ("Traceback" in running.log()) is traceback


@pytest.mark.parametrize("server", SERVERS)
def test_requests_in_flight_are_finished(server: str, tmp_path: Path) -> None:
    with serving(tmp_path, server) as running:
        idle = running.connect()
        assert send(idle, "GET", "/ping").status == 200
        results: list[object] = []
        thread = sleeping(running, 1.5, results)
        running.process.send_signal(signal.SIGTERM)
        # Health checks fail at once; what arrives on old and on new connections is answered still.
        wait_for(lambda: running.request("GET", "/ping").status == 503)
        late = send(idle, "POST", "/invocations", [[1, 2]])
        assert (late.status, late.headers["connection"]) == (200, "close")
        assert running.request("POST", "/invocations", [[1, 2]]).status == 200
        thread.join()
        (answer,) = results
        assert answer.status == 200
        assert running.process.wait(10) == 0
    assert "Traceback" not in running.log()


@pytest.mark.parametrize("server", SERVERS)
def test_no_request_is_lost_while_draining(server: str, tmp_path: Path) -> None:
    """A client that stops when it is told that the replica is going: no request of its fails."""
    with serving(tmp_path, server) as running:
        failures: list[object] = []
        done: list[int] = []

        def client() -> None:
            try:
                while running.request("GET", "/ping").status == 200:
                    answer = running.request("POST", "/invocations", [[1, 2]])
                    (done if answer.status == 200 else failures).append(answer.status)
            except OSError as error:
                failures.append(error)

        threads = [threading.Thread(target=client) for _ in range(3)]
        for thread in threads:
            thread.start()
        wait_for(lambda: len(done) > 50)
        running.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        assert running.process.wait(10) == 0
        assert failures == []


@pytest.mark.parametrize("server", SERVERS)
def test_the_grace_ends_what_hangs(server: str, tmp_path: Path) -> None:
    with serving(tmp_path, server, CLOUDOPS_SHUTDOWN_GRACE=0.5) as running:
        thread = sleeping(running, 60, [])
        started = time.monotonic()
        assert running.stop() == 0
        assert 0.4 < time.monotonic() - started < 10
        thread.join()


@pytest.mark.parametrize("server", SERVERS)
def test_a_second_signal_ends_it_now(server: str, tmp_path: Path) -> None:
    with serving(tmp_path, server) as running:
        thread = sleeping(running, 60, [])
        running.process.send_signal(signal.SIGINT)
        wait_for(lambda: running.request("GET", "/ping").status == 503)
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(10) == 0
        thread.join()


@pytest.mark.parametrize("server", SERVERS)
def test_health_is_live_while_the_model_is_busy(server: str, tmp_path: Path) -> None:
    with serving(tmp_path, server, CLOUDOPS_THREADS=1) as running:
        results: list[object] = []
        threads = [sleeping(running, 1.5, results)]
        threads += [threading.Thread(target=lambda: results.append(running.request("POST", "/score", [[1]])))]
        threads[1].start()
        assert running.request("GET", "/ping").status == 200
        assert results == []  # one prediction at a time: the second waits for the first
        for thread in threads:
            thread.join()
        assert [answer.status for answer in results] == [200, 200]


@pytest.mark.parametrize("server", SERVERS)
def test_killed_and_started_again(server: str, tmp_path: Path) -> None:
    with serving(tmp_path, server) as running:
        running.process.kill()
        assert running.process.wait(10) == -signal.SIGKILL
        with serving(tmp_path / "again", server, CLOUDOPS_PORT=running.port) as again:
            assert again.port == running.port


def test_the_ready_file(tmp_path: Path) -> None:
    with serving(tmp_path) as running:
        assert json.loads((tmp_path / "ready").read_text()) == {"port": running.port, "pid": running.process.pid}
        assert f"listens on http://127.0.0.1:{running.port}" in running.log()


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        running = start(tmp_path, CLOUDOPS_PORT=port)
        assert running.process.wait(10) == 2
    assert running.log() == (
        f"[cloudops] error: port {port} of 127.0.0.1 is taken; set CLOUDOPS_PORT to another, or to 0 for any\n"
    )
    assert not (tmp_path / "ready").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"CLOUDOPS_PORT": "http"}, "CLOUDOPS_PORT is 'http'; expected a whole number from 0 to 65535"),
        ({"CLOUDOPS_HOST": "not an address"}, "cannot listen on not an address, port 0"),
        ({"CLOUDOPS_READY_FILE": "/proc/no/ready"}, "CLOUDOPS_READY_FILE /proc/no/ready cannot be written"),
        ({"CLOUDOPS_PREDICTOR": "gone.py"}, "CLOUDOPS_PREDICTOR is gone.py, and there is no such file here or in"),
    ],
)
def test_a_wrong_setting(tmp_path: Path, settings: dict[str, str], message: str) -> None:
    running = start(tmp_path, **settings)
    assert running.process.wait(10) == 2
    (line,) = [line for line in running.log().splitlines() if "error" in line]
    assert line.startswith(f"[cloudops] error: {message}")


@pytest.mark.parametrize("python", ["this", "3.9"])
def test_without_uvicorn_the_standard_server_serves(tmp_path: Path, python: str) -> None:
    """A Python that has nothing installed."""
    interpreter = sys.executable if python == "this" else python39()
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from cloudops.runtime.main import main; sys.exit(main(['serve']))"
    )
    (tmp_path / "predictor.py").write_text(PREDICTOR)
    env = {
        "PATH": os.environ["PATH"],
        "CLOUDOPS_PORT": "0",
        "CLOUDOPS_PREDICTOR": str(tmp_path / "predictor.py"),
        "CLOUDOPS_READY_FILE": str(tmp_path / "ready"),
    }
    argv = [interpreter, "-S", "-E", "-c", code, str(build(tmp_path))]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(argv, env=env, cwd="/", stdout=log, stderr=log, text=True)
    running = Running(process, 0, tmp_path)
    try:
        wait_for((tmp_path / "ready").exists)
        running.port = json.loads((tmp_path / "ready").read_text())["port"]
        wait_for(lambda: running.request("GET", "/ping").status == 200)
        assert running.request("POST", "/invocations", [[1, 2]]).json() == {"predictions": [6]}
        assert "(http.server)" in running.log()
        assert running.stop() == 0
    finally:
        process.kill()
