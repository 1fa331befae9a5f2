"""Ten thousand random mutations of a project file: each is accepted, or refused with one clear line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from cloudops.config import load
from cloudops.errors import ConfigError

from .documents import FULL
from .mutations import SNIPPETS, documents

COUNT = 10_000
PARTS = 4
_SETTINGS = settings(database=None, deadline=None, suppress_health_check=list(HealthCheck), print_blob=False)


def assert_clear(message: str, *sources: str) -> None:
    """One printable line that names its source, short enough to read."""
    assert any(source in message for source in sources), message
    assert message.isprintable(), ascii(message)
    assert 20 < len(message) < 600, message


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_unmutated_file_is_accepted(folder: Path) -> None:
    Path("cloudops.yaml").write_text(FULL)
    assert load(environ={}).project.name == "flight-delay"


@pytest.mark.parametrize("part", range(PARTS))
def test_every_mutation_is_accepted_or_refused_with_one_line(folder: Path, part: int) -> None:
    seen: Counter[str] = Counter()
    file = open("cloudops.yaml", "wb", buffering=0)  # noqa: SIM115 - kept open: opening it costs more than the rest

    @seed(part)
    @settings(_SETTINGS, max_examples=COUNT // PARTS)
    @given(documents)
    def mutated(data: bytes) -> None:
        os.ftruncate(file.fileno(), 0)
        os.pwrite(file.fileno(), data, 0)
        try:
            config = load(environ={})
            list(config.values())
        except ConfigError as error:
            assert_clear(str(error), "cloudops.yaml:")
            seen["refused"] += 1
        else:
            seen["accepted"] += 1

    mutated()
    file.close()
    assert seen.total() >= COUNT // PARTS
    assert min(seen.values()) > COUNT // PARTS / 10, seen
    assert os.listdir(folder) == ["cloudops.yaml"]


def test_every_assignment_is_accepted_or_refused_with_one_line(folder: Path) -> None:
    Path("cloudops.yaml").write_text(FULL)
    places = [
        "train.params.lr",
        "train",
        "train.timeout",
        "provider",
        "target",
        "x",
        "",
        "a..b",
        "train.command.x",
        "\udcff",
    ]

    @seed(0)
    @settings(_SETTINGS, max_examples=500)
    @given(st.sampled_from(places), st.sampled_from(["=", "", "=="]), st.sampled_from(SNIPPETS))
    def assigned(place: str, equals: str, value: str) -> None:
        try:
            load(environ={}, assignments=[f"{place}{equals}{value}"])
        except ConfigError as error:
            assert_clear(str(error), "--set", "cloudops.yaml:")

    assigned()


def _samples(count: int) -> list[bytes]:
    found: list[bytes] = []

    @seed(PARTS)
    @settings(_SETTINGS, max_examples=count)
    @given(documents)
    def collect(data: bytes) -> None:
        found.append(data)

    collect()
    return found[:count]


def test_the_command_line_says_the_same(folder: Path) -> None:
    codes: Counter[int] = Counter()
    for data in [FULL.encode(), *_samples(29)]:
        Path("cloudops.yaml").write_bytes(data)
        command = [str(Path(sys.executable).with_name("cloudops")), "config", "show", "-f", "cloudops.yaml"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
        codes[done.returncode] += 1
        assert "Traceback" not in done.stderr + done.stdout
        assert done.returncode in (0, 2), done.stderr
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == (done.returncode == 2)
    assert set(codes) == {0, 2}, codes
