"""The contracts notice what is broken: they fail on a provider that is sabotaged."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from . import sabotaged

FILE = Path(sabotaged.__file__)
#: A line of pytest's summary: an outcome, and a test's class and name.
_LINE = re.compile(r"^(PASSED|FAILED|ERROR|SKIPPED) \S+?::(\w+::\w+(?:\[[^\]]*\])?)", re.MULTILINE)
CLASSES = {name: kind for name, kind in vars(sabotaged).items() if name.startswith("Test")}


def outcomes(*tests: str) -> dict[str, set[str]]:
    """Test to its outcomes, of a pytest run of its own."""
    argv = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-q", "-rA", "--tb=no", *tests]
    environment = {**os.environ, "PYTEST_ADDOPTS": ""}
    done = subprocess.run(argv, cwd=FILE.parents[2], env=environment, capture_output=True, text=True, check=False)
    found: dict[str, set[str]] = {}
    for outcome, name in _LINE.findall(done.stdout):
        found.setdefault(name, set()).add(outcome)
    assert found, done.stdout + done.stderr
    return found


def test_all_pass_where_nothing_is_broken() -> None:
    tests = [f"TestNothing::{name}" for name in sabotaged.TestNothing.passes]
    assert outcomes(*(f"{FILE}::{test}" for test in tests)) == {test: {"PASSED"} for test in tests}


@pytest.mark.parametrize("part", range(2))
def test_what_is_broken_is_noticed(part: int) -> None:
    """In two parts, which can run beside each other."""
    names = [f"{name}::{test}" for name, kind in CLASSES.items() for test in kind.noticed_by]
    mine = names[part::2]
    assert outcomes(*(f"{FILE}::{name}" for name in mine)) == {name: {"FAILED"} for name in mine}
