"""The custom role covers every call that the code can make, and nothing else."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cloudops_vertex
from cloudops_vertex.policy import CALLS, permission, role

SOURCES = Path(cloudops_vertex.__file__).parent
#: What each call of the generated client is called in the table.
OF_JOBS = {f"{verb}_custom_job": f"aiplatform.customJobs.{verb}" for verb in ("create", "get", "cancel", "delete")} | {
    "list_custom_jobs": "aiplatform.customJobs.list"
}


def called() -> Iterator[str]:
    """The calls in the sources: names given to ``request``, or to what passes them on, and the client's methods."""
    for path in SOURCES.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in OF_JOBS:
                yield OF_JOBS[node.attr]
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                first = node.args[0] if node.args else None
                if node.func.attr in ("request", "_found") and isinstance(first, ast.Constant):
                    yield str(first.value)


def test_the_table_is_what_the_code_calls() -> None:
    assert set(called()) == set(CALLS)


def test_permissions_have_the_form_that_iam_takes() -> None:
    for of_job in (False, True):
        for each in role(of_job=of_job)["includedPermissions"]:
            assert re.fullmatch(r"[a-z]+\.[a-zA-Z]+\.[a-zA-Z]+", each)
    assert "iam.serviceAccounts.actAs" in role()["includedPermissions"]
    assert "aiplatform.customJobs.create" not in role(of_job=True)["includedPermissions"]
    assert permission("storage.buckets.insert") == "storage.buckets.create"
    assert permission("no.such.call") == ""


def test_it_is_a_command() -> None:
    command = [sys.executable, "-m", "cloudops_vertex.policy"]
    done = subprocess.run([*command, "--job"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["title"] == "cloudops jobs"
    assert subprocess.run([*command, "more"], capture_output=True, check=False).returncode == 2
