"""The pytest fixtures, in a pytest run of somebody else's project."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .conftest import FAKE

TESTS = """
import os, urllib.error, urllib.request
import pytest

URL = "https://api.fake.test/things"

def put(name):
    urllib.request.urlopen(urllib.request.Request(f"{URL}/{name}", method="PUT"))

@pytest.mark.parametrize("number", [1, 2])
def test_each_test_begins_empty(cloudops_offline, number):
    assert cloudops_offline.resources() == []
    put("one")
    cloudops_offline.fault("throttling", times=None)
    assert [one.name for one in cloudops_offline.resources()] == ["one"]
    assert os.environ["CLOUDOPS_OFFLINE"] == cloudops_offline.url

def test_the_environment_is_left_alone_without_it():
    assert "CLOUDOPS_OFFLINE" not in os.environ

@pytest.mark.parametrize("number", [1, 2])
def test_a_session_keeps_its_state(cloudops_offline_session, number):
    assert len(cloudops_offline_session.resources()) == number - 1
    put(f"thing-{number}")

def test_both_at_once_are_two(cloudops_offline_session, cloudops_offline):
    assert cloudops_offline_session.url != cloudops_offline.url
    put("mine")
    assert [one.name for one in cloudops_offline.resources()] == ["mine"]
    assert len(cloudops_offline_session.resources()) == 2

def test_the_session_leads_there_again_afterwards(cloudops_offline_session):
    assert os.environ["CLOUDOPS_OFFLINE"] == cloudops_offline_session.url
    before = cloudops_offline_session.now()
    assert cloudops_offline_session.now() - before < 3600
"""


def run(folder: Path, *settings: str) -> str:
    (folder / "test_it.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("\n".join(["[pytest]", *settings]) + "\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr


def test_fixtures_serve_tests_and_sessions(tmp_path: Path) -> None:
    told = run(tmp_path, f"cloudops_offline_emulators = {FAKE}", "cloudops_offline_speed = 2")
    assert "7 passed" in told, told


def test_settings_that_cannot_be_met_are_told(tmp_path: Path) -> None:
    told = run(tmp_path, "cloudops_offline_speed = fast")
    assert "ConfigError: cloudops_offline_speed = fast: expected a number" in told
    assert "1 passed, 6 errors" in told
