from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudops.runtime import log_metric, log_metrics
from cloudops.runtime.metrics import Metric, parse_line

names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_./-]{0,60}", fullmatch=True)


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_the_line(capsys: pytest.CaptureFixture[str]) -> None:
    log_metric("auc", 0.7512, step=3)
    log_metrics({"loss": 1, "val/loss": np.float32(0.5)})
    assert printed(capsys) == [
        "[cloudops] metric name=auc value=0.7512 step=3",
        "[cloudops] metric name=loss value=1.0",
        "[cloudops] metric name=val/loss value=0.5",
    ]


@given(names, st.floats(), st.none() | st.integers(-(10**17), 10**17), st.integers(0, 5))
def test_what_is_logged_is_parsed(name: str, value: float, step: int | None, rank: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        lines: list[str] = []
        patch.setattr(sys.stdout, "write", lines.append)
        patch.setenv("RANK", str(rank))
        log_metric(name, value, step)
    (line,) = lines
    assert line.endswith("\n")
    for text in (line, line.rstrip("\n"), line.rstrip("\n") + "\r\n", "epoch 1: " + line):
        parsed = parse_line(text)
        assert parsed is not None
        assert (parsed.name, parsed.step, parsed.rank) == (name, step, rank)
        assert parsed.value == value or (math.isnan(parsed.value) and math.isnan(value))


@given(st.text(max_size=80) | st.text("[cloudops] metric name=x value=1.e5 step rank-+naif\n", max_size=80))
def test_any_line_is_parsed_or_not_a_metric(text: str) -> None:
    for line in (text, "[cloudops] metric " + text, "[cloudops] metric name=x value=" + text):
        assert parse_line(line) is None or isinstance(parse_line(line), Metric)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "auc=0.7",
        "[cloudops] metric name=a",
        "[cloudops] metric name=a value=high",
        "[cloudops] metric name=a value=1 step=x",
        "[cloudops] metric name=a b value=1",
        "[cloudops] metric name=a value=1 and more",
    ],
)
def test_other_lines(line: str) -> None:
    assert parse_line(line) is None


@pytest.mark.parametrize("name", ["", "1st", "a b", "a\n", "größe", "a=1", "a" * 251, None])
def test_a_wrong_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="is not valid: use letters"):
        log_metric(name, 1)
    assert printed(capsys) == []


@pytest.mark.parametrize("value", ["0.5", None, [1.0], 1j, 10**400, np.array([1.0, 2.0]), object()])
def test_a_value_that_is_no_number(value, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="the metric 'a' must be one number, not"):
        log_metrics({"first": 1, "a": value})
    assert printed(capsys) == []


@pytest.mark.parametrize("step", [1.5, "1", 10**18])
def test_a_step_that_is_no_integer(step) -> None:
    with pytest.raises(ValueError, match="the step of the metric 'a'"):
        log_metric("a", 1, step)


def test_lines_of_several_processes_and_threads_do_not_mix() -> None:
    """Four processes with two threads each, printing to one pipe, unbuffered: all 2,000 metrics come out whole."""
    code = """
import os, sys, threading
from cloudops.runtime import log_metric
for rank in range(1, 4):
    if os.fork() == 0:
        os.environ["RANK"] = str(rank)
        break
def work(name):
    for step in range(250):
        log_metric(name * 100, step / 7, step)
        print("noise " * 5)
threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
[t.start() for t in threads]
[t.join() for t in threads]
if not int(os.environ.get("RANK", "0")):
    [os.wait() for _ in range(3)]
"""
    output = subprocess.run([sys.executable, "-u", "-c", code], capture_output=True, text=True, check=True).stdout
    parsed = {parse_line(line) for line in output.splitlines()} - {None}
    expected = {Metric(name * 100, step / 7, step, rank) for rank in range(4) for name in "ab" for step in range(250)}
    assert parsed == expected
