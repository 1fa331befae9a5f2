"""Command lines that cannot be read: one line, a hint, and 2."""

from __future__ import annotations

import json

import pytest

from .conftest import Project


@pytest.mark.parametrize(
    ("command", "message", "where"),
    [
        ("train --nwe", "error: no such option", "cloudops train"),
        ("jobs extra", "error: got unexpected extra argument (extra)", "cloudops jobs"),
        ("jobs -o yaml", "error: invalid value for '-o' / '--output': 'yaml' is not one of", "cloudops jobs"),
        (
            "completion",
            "error: missing argument",
            "cloudops completion",
        ),
        ("config shwo", "error: no such command 'shwo'", "cloudops config"),
        ("trian", "error: there is no command 'trian'; did you mean 'train'?", "cloudops"),
        ("wait --timeout soon", "error: invalid value for --timeout: ", "cloudops wait"),
        ("predict", "error: expected rows: either --data FILE or --row JSON", "cloudops predict"),
        (
            "traffic v=nan",
            "error: expected VERSION=PERCENT with a percentage from 0 to 100",
            "cloudops traffic",
        ),
        ("traffic v=1e999", "error: expected VERSION=PERCENT", "cloudops traffic"),
        ("traffic v=-1", "error: expected VERSION=PERCENT", "cloudops traffic"),
        ("traffic =100", "error: expected VERSION=PERCENT", "cloudops traffic"),
        ("traffic v=100 v=0", "error: the version v is named twice", "cloudops traffic"),
        ("traffic a b", "error: expected at most one endpoint, got a, b", "cloudops traffic"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_a_hint(project: Project, command: str, message: str, where: str) -> None:
    refused = project.run(*command.split(), code=2)
    first, second = refused.stderr.splitlines()
    assert first.startswith(message)
    assert second == f"  `{where} --help` explains the command line"
    assert refused.stdout == ""
    if "-o" not in command:
        error = json.loads(project.run(*command.split(), "-o", "json", code=2).stdout)["error"]
        assert error == {"type": "UsageError", "message": first.removeprefix("error: "), "hint": second.strip()}


def test_no_command_shows_the_help(project: Project) -> None:
    for arguments in ([], ["config"]):
        shown = project.run(*arguments, code=2)
        assert (shown.stdout + shown.stderr).startswith("Usage: cloudops")
