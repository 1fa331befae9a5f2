"""Standard streams that are closed, full, or of a narrow encoding, and Ctrl-C before anything is imported."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from .conftest import CLI, Project, interrupt

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")


def shell(project: Project, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a line of a shell in which ``cloudops`` is the command line."""
    return subprocess.run(
        ["sh", "-c", f'cloudops() {{ "{CLI}" "$@"; }}; {command}'],
        cwd=project.folder,
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        timeout=60,
        check=False,
        env={**os.environ, **variables},
    )


@needs_full
@pytest.mark.parametrize("command", ["jobs -o json", "jobs", "--help"])
def test_output_that_cannot_be_written_is_one_line(project: Project, command: str) -> None:
    done = shell(project, f"cloudops {command} >/dev/full")
    assert done.returncode == 1
    assert done.stderr == "error: standard output cannot be written: No space left on device\n"


@needs_full
def test_an_error_whose_document_cannot_be_written_is_that_error(project: Project) -> None:
    done = shell(project, "cloudops jobs -f none -o json >/dev/full")
    assert done.returncode == 2
    assert done.stderr.startswith("error: none: no such file\n")
    assert "Traceback" not in done.stderr


@needs_full
def test_progress_that_cannot_be_shown_fails_nothing(project: Project) -> None:
    for redirection in ("2>/dev/full", "2>&-"):
        done = shell(project, f"cloudops train -o json {redirection}")
        assert done.returncode == 0
        assert json.loads(done.stdout)["phase"] == "succeeded"


def test_closed_streams(project: Project) -> None:
    assert shell(project, "cloudops jobs >&-").returncode == 0
    assert shell(project, "cloudops jobs <&- >&- 2>&-").returncode == 0
    refused = shell(project, "cloudops predict --row 1 <&-")
    assert (refused.returncode, refused.stderr[:26]) == (3, "error: local has no endpoi")
    project.run("train")
    assert "pass --yes to delete it" in shell(project, "cloudops down <&-").stderr


def test_a_reader_that_has_seen_enough_is_no_error(project: Project) -> None:
    done = shell(project, "cloudops schema | head -1")
    assert (done.stdout, done.stderr) == ("{\n", "")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_characters_that_the_encoding_lacks_are_escaped(project: Project, encoding: str) -> None:
    done = shell(project, "cloudops config show --set 'train.params.who=数据 é'", PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    as_json = shell(project, "cloudops config show -o json --set 'train.params.who=数据'", PYTHONIOENCODING=encoding)
    assert "数据" in [row["value"] for row in json.loads(as_json.stdout)]


@pytest.mark.parametrize(("value", "shown"), [("1", True), ("yes", True), ("0", False), ("", False), ("False", False)])
def test_a_traceback_is_shown_where_it_is_asked_for(project: Project, value: str, shown: bool) -> None:
    done = shell(project, "cloudops jobs -f none", CLOUDOPS_DEBUG=value)
    assert ("Traceback" in done.stderr) == shown


def test_ctrl_c_during_the_imports_is_one_line(project: Project, tmp_path: Path) -> None:
    slow = tmp_path / "slow" / "click"
    slow.mkdir(parents=True)
    (slow / "__init__.py").write_text("print('importing', flush=True)\nimport time\ntime.sleep(30)\n")
    for arguments in ([], ["-o", "json"]):
        process = project.start("jobs", *arguments, environ={"PYTHONPATH": str(slow.parent)})
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "importing\n"
        interrupt(process)
        assert process.wait(20) == 130
        assert process.stderr.read() == "interrupted before anything was begun; give the command again\n"
        out = process.stdout.read()
        assert not arguments or json.loads(out)["error"]["type"] == "Interrupted"


def test_what_a_shell_puts_into_the_background_goes_on_ignoring_ctrl_c(project: Project) -> None:
    project.edit('PAUSE: "0"', 'PAUSE: "0.3"')
    process = project.start("train", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    assert process.stderr is not None
    while "running" not in process.stderr.readline():
        assert process.poll() is None
    interrupt(process)
    assert process.wait(30) == 0
