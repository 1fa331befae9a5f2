"""Real serving processes, and a small HTTP client that hides nothing."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

SERVERS = ("auto", "std")

PREDICTOR = """
import sys, time
from cloudops.runtime import BadRequest

def load(model_dir):
    return 2

def predict(model, instances):
    first = instances[0]
    if isinstance(first, dict) and "mode" in first:
        return MODES[first["mode"]](instances)
    if isinstance(first, dict):
        return [{key: model * value for key, value in row.items()} for row in instances]
    return [model * sum(row) if isinstance(row, list) else row for row in instances]

def refuse(instances):
    raise BadRequest("mode must not be 'refuse'")

def fail(instances):
    raise KeyError("hidden")

def exit_with(code):
    sys.exit(code)

def slow(instances):
    time.sleep(instances[0]["seconds"])
    return ["slept"] * len(instances)

MODES = {
    "refuse": refuse, "fail": fail, "slow": slow, "exit": lambda rows: exit_with(rows[0].get("code")),
    "few": lambda rows: [1], "number": lambda rows: 7, "object": lambda rows: [object()] * len(rows),
    "nan": lambda rows: [float("nan"), float("inf"), 1.5][: len(rows)],
    "echo": lambda rows: [row["value"] for row in rows],
}
"""


def python39() -> str:
    """A Python 3.9 that runs; pyenv's shim of that name may be there without one behind it."""
    found = [shutil.which("python3.9"), *map(str, Path.home().glob(".pyenv/versions/3.9.*/bin/python"))]
    for path in filter(None, found):
        if subprocess.run([path, "-c", "pass"], check=False, capture_output=True).returncode == 0:
            return path
    pytest.skip("no Python 3.9 on this machine")


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return self.json()["error"]


@dataclass
class Running:
    process: subprocess.Popen[str]
    port: int
    folder: Path
    connections: list[http.client.HTTPConnection] = field(default_factory=list)

    def connect(self) -> http.client.HTTPConnection:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        self.connections.append(connection)
        return connection

    def request(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request on a connection of its own; a body other than bytes is sent as JSON."""
        connection = self.connect()
        try:
            return send(connection, method, path, body, **headers)
        finally:
            connection.close()

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(40)


def send(connection: http.client.HTTPConnection, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    sent = {key.replace("_", "-"): value for key, value in headers.items()}
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        sent.setdefault("content-type", "application/json")
    connection.request(method, path, body, sent)
    response = connection.getresponse()
    return Answer(response.status, response.read(), {key.lower(): value for key, value in response.getheaders()})


def wait_for(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """The first true value of ``condition``, polled."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s in vain"
        time.sleep(0.01)
    return value


def start(folder: Path, server: str = "auto", predictor: str | None = PREDICTOR, **settings: object) -> Running:
    """Start a server and wait until it listens, not until its model is loaded."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model").mkdir(exist_ok=True)
    env = {"PATH": os.environ["PATH"], "CLOUDOPS_SERVER": server, "CLOUDOPS_PORT": "0"}
    env.update(CLOUDOPS_MODEL_DIR=str(folder / "model"), CLOUDOPS_READY_FILE=str(folder / "ready"))
    if predictor is not None:
        (folder / "predictor.py").write_text(predictor)
        env["CLOUDOPS_PREDICTOR"] = str(folder / "predictor.py")
    env.update({key: str(value) for key, value in settings.items()})
    with (folder / "log").open("w") as log:
        argv = [sys.executable, "-m", "cloudops.runtime", "serve"]
        process = subprocess.Popen(argv, env=env, cwd=folder, stdout=log, stderr=log, text=True)
    ready = folder / "ready"
    wait_for(lambda: ready.exists() or process.poll() is not None)
    port = json.loads(ready.read_text())["port"] if ready.exists() else 0
    return Running(process, port, folder)


@contextlib.contextmanager
def serving(
    folder: Path, server: str = "auto", predictor: str | None = PREDICTOR, **settings: object
) -> Iterator[Running]:
    """A server whose model is loaded, killed at the end if it still runs."""
    running = start(folder, server, predictor, **settings)
    try:
        assert running.process.poll() is None, running.log()
        wait_for(lambda: running.process.poll() is not None or running.request("GET", "/ping").status == 200)
        yield running
    finally:
        for connection in running.connections:
            connection.close()
        running.process.kill()
        running.process.wait(30)
