from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cloudops.runtime.capture import Capture

from .rig import SERVERS, serving


def keep(capture: Capture, *inputs: object) -> None:
    capture.keep(time=1.5, id="i", inputs=list(inputs), outputs=[1], latency=0.25)


def lines(folder: Path) -> list[dict[str, object]]:
    texts = [path.read_text() for path in sorted(folder.glob("*.jsonl"))]
    return [json.loads(line, parse_constant=pytest.fail) for text in texts for line in text.splitlines()]


def test_a_line(tmp_path: Path) -> None:
    capture = Capture(tmp_path / "größe", 1.0, "v1")
    keep(capture, {"a": 1, "größe": "x\ny", "nan": float("nan")})
    (path,) = (tmp_path / "größe").iterdir()
    assert path.name.startswith(f"{os.getpid()}-")
    assert path.stat().st_mode & 0o777 == 0o600
    assert lines(tmp_path / "größe") == [
        {
            "time": 1.5,
            "version": "v1",
            "id": "i",
            "inputs": [{"a": 1, "größe": "x\ny", "nan": None}],
            "outputs": [1],
            "latency": 0.25,
        }
    ]


def test_the_sample(tmp_path: Path) -> None:
    draws = iter([0.0, 0.29, 0.3, 0.99])
    capture = Capture(tmp_path, 0.3, "1", draw=lambda: next(draws))
    for number in range(4):
        keep(capture, number)
    assert [line["inputs"] for line in lines(tmp_path)] == [[0], [1]]
    assert capture.captured == 2
    none = Capture(tmp_path / "none", 0.0, "1")
    keep(none, 1)
    assert not (tmp_path / "none").exists()
    keep(Capture(None, 1.0, "1"), 1)


def test_rotation(tmp_path: Path) -> None:
    capture = Capture(tmp_path, 1.0, "1", rotate_at=400)
    for number in range(20):
        keep(capture, number)
    assert len(list(tmp_path.iterdir())) > 1
    assert all(path.stat().st_size <= 400 for path in tmp_path.iterdir())
    assert [line["inputs"] for line in lines(tmp_path)] == [[number] for number in range(20)]


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())


def test_the_folder_is_bounded_and_the_oldest_goes_first(tmp_path: Path) -> None:
    capture = Capture(tmp_path, 1.0, "1", limit=20_000)
    largest = 0
    for number in range(1000):
        keep(capture, number)
        largest = max(largest, size(tmp_path))
    kept = [line["inputs"] for line in lines(tmp_path)]
    assert kept == [[number] for number in range(1000 - len(kept), 1000)]
    assert 15_000 < size(tmp_path) <= largest <= 20_000
    assert (capture.captured, capture.dropped) == (1000, 0)


def test_what_others_left_counts_and_goes_first(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / f"1-{number}.jsonl").write_bytes(b"x" * 8000)
        os.utime(tmp_path / f"1-{number}.jsonl", (1000 - number, 1000 - number))
    (tmp_path / "note.txt").write_bytes(b"x" * 50_000)
    keep(Capture(tmp_path, 1.0, "1", limit=20_000), 1)
    assert {path.name for path in tmp_path.iterdir()} >= {"1-0.jsonl", "1-1.jsonl", "note.txt"}
    assert not (tmp_path / "1-2.jsonl").exists()


def test_a_file_that_another_process_removed_is_not_written_to(tmp_path: Path) -> None:
    capture = Capture(tmp_path, 1.0, "1")
    keep(capture, 1)
    for path in tmp_path.iterdir():
        path.unlink()
    keep(capture, 2)
    assert [line["inputs"] for line in lines(tmp_path)] == [[2]]


def test_a_request_that_is_larger_than_the_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture = Capture(tmp_path, 1.0, "1", limit=1000)
    keep(capture, 1)
    keep(capture, "x" * 2000)
    keep(capture, 2)
    assert [line["inputs"] for line in lines(tmp_path)] == [[1], [2]]
    assert capture.dropped == 1
    assert "a request is larger than CLOUDOPS_CAPTURE_LIMIT; they are answered all the same" in capsys.readouterr().err


def test_threads_do_not_mix_their_lines(tmp_path: Path) -> None:
    capture = Capture(tmp_path, 1.0, "1", rotate_at=20_000)
    threads = [threading.Thread(target=lambda n=n: [keep(capture, "x" * 100, n) for _ in range(100)]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(lines(tmp_path)) == capture.captured == 400


def test_a_folder_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    capture = Capture(Path("/proc/no/such"), 1.0, "1")
    keep(capture, 1)
    keep(capture, 2)
    assert (capture.captured, capture.dropped) == (0, 2)
    (warning,) = capsys.readouterr().err.splitlines()
    assert warning.startswith("[cloudops] warning: requests cannot be captured in /proc/no/such: No such file")


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: a write takes what fits and the next one fails."""
    code = """
import pathlib, resource, signal, sys
from cloudops.runtime.capture import Capture
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
capture = Capture(pathlib.Path(sys.argv[1]), 1.0, "1")
for number in range(20):
    capture.keep(time=0, id="i", inputs=["x" * 100, number], outputs=[], latency=0)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
capture.keep(time=0, id="i", inputs=["after"], outputs=[], latency=0)
print(capture.captured, capture.dropped)
"""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    result = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, text=True)
    captured, dropped = map(int, result.stdout.split())
    assert captured + dropped == 21
    assert dropped > 10
    kept = lines(tmp_path)  # every line is whole
    assert len(kept) == captured
    assert kept[-1]["inputs"] == ["after"]
    assert result.stderr.count("requests cannot be captured") == 1


@pytest.mark.parametrize("server", SERVERS)
def test_through_a_server(server: str, tmp_path: Path) -> None:
    with serving(tmp_path, server, CLOUDOPS_CAPTURE_DIR=tmp_path / "capture", CLOUDOPS_MODEL_VERSION="v3") as running:
        before = time.time()
        running.request("POST", "/score", [{"a": 1}, {"a": 2}], x_request_id="mine", authorization="Bearer secret")
        running.request("POST", "/score", [{"mode": "fail"}])
        tensor = {"name": "x", "shape": [1, 2], "datatype": "INT8", "data": [1, 2]}
        running.request("POST", "/v2/models/model/infer", {"inputs": [tensor]})
        first, second = lines(tmp_path / "capture")
        assert (first["id"], first["version"]) == ("mine", "v3")
        assert (first["inputs"], first["outputs"]) == ([{"a": 1}, {"a": 2}], [{"a": 2}, {"a": 4}])
        assert before - 1 < first["time"] < before + 30
        assert 0 < first["latency"] < 5
        assert (second["inputs"], second["outputs"]) == ([[1, 2]], [6])
        assert "secret" not in "".join(path.read_text() for path in (tmp_path / "capture").iterdir())
        assert "cloudops_captured_total" in running.request("GET", "/metrics").body.decode()
        running.process.kill()
        running.process.wait(10)
        assert len(lines(tmp_path / "capture")) == 2  # each line is written at once


def test_the_limit_through_a_server(tmp_path: Path) -> None:
    with serving(tmp_path, CLOUDOPS_CAPTURE_DIR=tmp_path / "capture", CLOUDOPS_CAPTURE_LIMIT=5000) as running:
        for _ in range(60):
            assert running.request("POST", "/score", [[1, 2, 3]] * 5).status == 200
        assert 2000 < size(tmp_path / "capture") <= 5000


@pytest.mark.parametrize("server", SERVERS)
def test_a_server_that_cannot_capture_still_serves(server: str, tmp_path: Path) -> None:
    with serving(tmp_path, server, CLOUDOPS_CAPTURE_DIR="/proc/no/such") as running:
        for _ in range(3):
            assert running.request("POST", "/score", [[1]]).status == 200
        metrics = running.request("GET", "/metrics").body.decode()
        assert 'cloudops_capture_dropped_total{model="model",version="1"} 3' in metrics
        assert running.log().count("requests cannot be captured in /proc/no/such") == 1
