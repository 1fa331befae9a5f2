"""What ships beside the contracts: the pytest plugin and the scripts that they run."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import cloudops.testing
from cloudops.testing import plugin

FOLDER = Path(cloudops.testing.__file__).parent


def test_the_plugin_costs_pytest_runs_of_others_next_to_nothing() -> None:
    code = """
import sys, json, pytest
before = set(sys.modules)
import cloudops.testing.plugin
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(json.loads(done.stdout)) == {"cloudops", "cloudops.testing", "cloudops.testing.plugin"}


def test_assertions_of_all_contracts_are_readable() -> None:
    with_assertions = {
        path.stem
        for path in FOLDER.glob("*.py")
        if any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    }
    assert with_assertions == set(plugin._CONTRACTS)


def test_scripts_run_on_the_oldest_python_of_jobs() -> None:
    scripts = sorted((FOLDER / "scripts").glob("*.py"))
    assert {path.name for path in scripts} >= {"job.py", "predictor.py"}
    for path in scripts:
        tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
        modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        modules |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert modules - {"cloudops.runtime"} <= set(sys.stdlib_module_names)


def test_every_name_is_there() -> None:
    assert all(
        getattr(cloudops.testing, name).__module__.startswith("cloudops.testing.") for name in cloudops.testing.__all__
    )
