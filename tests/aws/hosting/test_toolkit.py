"""The server inside prebuilt images, as a process of its own: no cloud around it."""

from __future__ import annotations

import http.client
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cloudops_sagemaker.emulator
import numpy as np
import pytest

from cloudops.offline.machines.replicas import free_port

from .rig import until

TOOLKIT = Path(cloudops_sagemaker.emulator.__file__).with_name("hosting_toolkit.py")

#: The toolkit's own hooks around a model that adds up rows.
SUMS = """
class Sums:
    def predict(self, rows):
        return rows.sum(axis=1)

def model_fn(model_dir):
    return Sums()
"""


class Toolkit:
    def __init__(self, folder: Path, script: str, **env: str) -> None:
        code = folder / "model" / "code"
        code.mkdir(parents=True)
        (code / env.get("SAGEMAKER_PROGRAM", "inference.py")).write_text(script)
        self.port = free_port()
        own = {"SAGEMAKER_BASE_DIR": str(folder), "SAGEMAKER_BIND_TO_PORT": str(self.port)}
        self.process = subprocess.Popen(
            [sys.executable, str(TOOLKIT)],
            env={"PATH": os.environ["PATH"], **own, **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, given)
        answer = connection.getresponse()
        found = answer.status, answer.read(), answer.headers.get("Content-Type", "")
        connection.close()
        return found

    def ready(self) -> Toolkit:
        def answers() -> bool:
            assert self.process.poll() is None, self.end()
            try:
                return self.ask("GET", "/ping")[0] == 200
            except OSError:
                return False

        until(answers)
        return self

    def end(self) -> str:
        self.process.send_signal(signal.SIGTERM)
        return self.process.communicate(timeout=10)[0].decode()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[object]:
    made: list[Toolkit] = []

    def make(script: str, **env: str) -> Toolkit:
        made.append(Toolkit(tmp_path, script, **env))
        return made[-1]

    yield make
    for one in made:
        one.process.kill()
        one.process.wait()
        if one.process.stdout is not None:
            one.process.stdout.close()


def test_default_hooks_read_and_write_arrays(start) -> None:
    server = start(SUMS).ready()
    ask = server.ask
    assert ask("POST", "/invocations", b"[[1, 2], [3, 4]]", Content_Type="application/json")[1] == b"[3, 7]"
    status, body, kind = ask("POST", "/invocations", b"1,2\n3,4\n", Content_Type="text/csv", Accept="text/csv")
    assert (status, body, kind) == (200, b"3.0\n7.0\n", "text/csv")
    buffer = io.BytesIO()
    np.save(buffer, np.array([[5, 6]]))
    answer = ask(
        "POST", "/invocations", buffer.getvalue(), Content_Type="application/x-npy", Accept="application/x-npy"
    )
    assert np.load(io.BytesIO(answer[1])).tolist() == [11]
    status, body, _ = ask("POST", "/invocations", b"x", Content_Type="image/png")
    assert status == 500
    assert b"Content type image/png is not supported by this framework" in body
    assert ask("GET", "/nothing")[0] == 404
    assert "loaded" in server.end()
    assert server.process.returncode == 0


def test_a_hook_may_take_the_context_and_set_its_status(start) -> None:
    script = """
def model_fn(model_dir, context):
    return context.system_properties["model_dir"]

def transform_fn(model, data, content_type, accept, context):
    context.set_response_status(code=207)
    return context.get_request_header(0, "X-Mine") + ":" + data, "text/plain"
"""
    server = start(script, SAGEMAKER_PROGRAM="serve.py").ready()
    answer = server.ask("POST", "/invocations", b"7", Content_Type="application/json", X_Mine="m")
    assert answer == (207, b"m:7", "text/plain")


def test_a_script_that_contradicts_itself_does_not_start(start) -> None:
    script = "def transform_fn(*_): pass\ndef input_fn(*_): pass\ndef model_fn(model_dir): pass"
    server = start(script)
    assert server.process.wait(20) == 1
    assert "Cannot use transform_fn implementation in conjunction" in server.process.communicate()[0].decode()


def test_without_model_fn_there_is_no_model(start) -> None:
    server = start("")
    assert server.process.wait(20) == 1
    assert "Please provide a model_fn implementation" in server.process.communicate()[0].decode()


def test_errors_have_the_status_that_they_say(start) -> None:
    script = """
from werkzeug.exceptions import UnsupportedMediaType

class Own(Exception):
    def __init__(self):
        self.status_code, self.message, self.phrase = 422, "not so", "x"

def model_fn(model_dir):
    return None

def transform_fn(model, data, content_type, accept):
    raise {"own": Own, "werkzeug": UnsupportedMediaType}.get(data, ZeroDivisionError)()
"""
    server = start(script).ready()

    def status(data: str) -> int:
        return int(server.ask("POST", "/invocations", data.encode(), Content_Type="text/csv")[0])

    assert [status(data) for data in ("own", "werkzeug", "other")] == [422, 415, 500]


def test_requirements_are_asked_for(start, tmp_path: Path) -> None:
    code = tmp_path / "other"
    code.mkdir()
    (code / "inference.py").write_text(SUMS)
    (code / "requirements.txt").write_text("./nowhere-to-be-found\n")
    server = start("", SAGEMAKER_SUBMIT_DIRECTORY=str(code))
    assert server.process.wait(60) == 1
    assert "failed to install required packages" in server.process.communicate()[0].decode()


def test_a_json_body_is_text_to_the_hooks(start) -> None:
    script = "def model_fn(d): pass\ndef transform_fn(m, data, c, a): return [type(data).__name__], 'application/json'"
    server = start(script).ready()
    assert json.loads(server.ask("POST", "/invocations", b"{}", Content_Type="application/json")[1]) == ["str"]
    assert json.loads(server.ask("POST", "/invocations", b"{}", Content_Type="image/png")[1]) == ["bytes"]
