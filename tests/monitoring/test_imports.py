"""The package costs nothing until it is used, and knows nothing of the rest of cloudops."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cloudops.monitoring as monitoring

HEAVY = {"numpy", "polars", "scipy", "rich", "pydantic", "asyncio", "aiohttp"}


@pytest.mark.parametrize("module", ["", ".report", ".html", ".terminal", ".operational"])
def test_nothing_heavy_is_imported(module):
    script = f"import sys, cloudops.monitoring{module}; print(*sorted({HEAVY!r} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


def test_every_public_name_is_there():
    assert monitoring.__all__ == sorted(monitoring.__all__)
    for name in monitoring.__all__:
        assert getattr(monitoring, name).__name__ in (name, "Literal"), name
    with pytest.raises(AttributeError, match="nonsense"):
        monitoring.nonsense  # noqa: B018


def test_it_imports_nothing_else_of_cloudops():
    for file in Path(monitoring.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert node.level <= 1, file
                assert not (node.module or "").startswith("cloudops"), file
            if isinstance(node, ast.Import):
                assert not any(name.name.startswith("cloudops") for name in node.names), file
