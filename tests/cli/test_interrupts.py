"""Ctrl-C at any moment of any command: what goes on is said, and the command that goes on from there."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import time

import pytest

from .conftest import CLI, Project, interrupt

AT_ONCE = """
import cloudops.opening
def interrupted(*arguments, **options): raise KeyboardInterrupt
cloudops.opening.open_session = interrupted
"""
IN_THE_SPINNER = """
from cloudops.cli import progress
begin = progress.LiveProgress.begin
def interrupted(self, step, text):
    begin(self, step, text)
    raise KeyboardInterrupt
progress.LiveProgress.begin = interrupted
"""
AFTER_THE_START = """
from cloudops.handles import Job
def interrupted(*arguments, **options): raise KeyboardInterrupt
Job.wait = interrupted
"""


@pytest.mark.parametrize("command", ["run", "train", "deploy", "monitor", "predict --row 1", "status", "down"])
def test_an_interrupted_command_says_how_to_go_on(project: Project, command: str) -> None:
    arguments = [*command.split(), "--set", "train.params.text=a b", "-o", "json"]
    process = project.patched(AT_ONCE, *arguments)
    out, said = process.communicate(timeout=30)
    assert process.returncode == 130
    shown = f"cloudops {command} --set 'train.params.text=a b' -o json"
    assert said.splitlines()[-2:] == ["interrupted; what runs goes on. To go on from here:", f"  {shown}"]
    assert json.loads(out)["error"] == {
        "type": "Interrupted",
        "message": "interrupted; what runs goes on",
        "hint": shown,
    }


def test_a_new_job_that_is_there_is_not_started_again(project: Project) -> None:
    process = project.patched(AFTER_THE_START, "run", "--new", "--set", "train.params.lr=1")
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.endswith("To go on from here:\n  cloudops run --set train.params.lr=1\n")


def test_the_cursor_is_shown_again(project: Project) -> None:
    for command in ("train", "monitor", "wait"):
        if command == "monitor":
            project.run("run")
        ours, theirs = pty.openpty()
        process = project.patched(IN_THE_SPINNER, command, stderr=theirs)
        os.close(theirs)
        shown = _drained(ours)
        process.communicate(timeout=30)
        assert process.returncode == 130
        assert "\x1b[?25l" in shown
        assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_a_followed_log_comes_as_json_while_it_grows(project: Project) -> None:
    project.edit('PAUSE: "0"', 'PAUSE: "1"')
    uri = project.json("train", "--no-wait")["uri"]
    process = project.start("logs", "-f", "-o", "json", uri)
    assert process.stdout is not None
    assert process.stderr is not None
    shown = ""
    while "epoch" not in shown:
        shown += process.stdout.readline()
        assert process.poll() is None
    interrupt(process)
    shown += process.stdout.read()
    assert f"cloudops logs -f -o json {uri}" in process.stderr.read()
    assert process.wait(20) == 130
    assert "epoch 0" in [line["text"] for line in json.loads(shown)]


def test_a_list_of_no_lines_is_a_list(project: Project) -> None:
    (project.folder / "src" / "train.py").write_text("")
    project.run("train")
    assert project.json("logs") == []


@pytest.mark.parametrize(("typed", "code"), [("n\n", 1), ("\x03", 130), ("\x04", 130)])
def test_a_deletion_that_is_declined(project: Project, typed: str, code: int) -> None:
    project.run("train")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(project.folder)
        os.execv(CLI, [CLI, "down"])
    shown = ""
    while "[y/N]: " not in shown:
        shown += os.read(terminal, 1000).decode()
    time.sleep(0.1)
    os.write(terminal, typed.encode())
    if typed == "\x03":  # one that comes before Python reads is seen only with the next key
        time.sleep(0.5)
        with contextlib.suppress(OSError):
            os.write(terminal, b"\n")
    shown += _drained(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == code
    assert "nothing was deleted" in shown
    assert ("cloudops down" in shown) == (code == 130)
    assert len(project.json("jobs")) == 1


def _drained(terminal: int) -> str:
    shown = b""
    while True:
        try:
            shown += os.read(terminal, 4096)
        except OSError:  # the other side is closed
            os.close(terminal)
            return shown.decode()


def test_a_command_is_named_as_it_has_to_be_typed(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """`make demo` runs the command of an environment that no shell knows."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert f"{CLI} down" in project.run("run").stdout
    monkeypatch.setenv("PATH", f"{os.path.dirname(CLI)}:/usr/bin:/bin")
    assert "\n  cloudops down" in project.run("run").stdout
