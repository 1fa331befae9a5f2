"""``cloudops offline``, and ``--offline`` of the other commands, as a person uses them."""

from __future__ import annotations

import json
import os
import shlex
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from cloudops.cli.main import SECTIONS, cli

from .conftest import CLI, FAKE, Shell
from .test_deaths import gone, until

PUT = "import urllib.request as r; r.urlopen(r.Request('https://api.fake.test/things/one', method='PUT'))"


def running(shell: Shell) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(shell.record.read_text())
    return found


def in_shell(shell: Shell, script: str) -> str:
    """What a shell prints that was led to the offline clouds."""
    lead = f'eval "$({shlex.quote(CLI)} offline env)"; '
    done = subprocess.run(["sh", "-euc", lead + script], env=shell.environ, capture_output=True, text=True, check=True)
    return done.stdout


def test_a_command_runs_against_clouds_of_its_own(shell: Shell) -> None:
    script = f"{PUT}; print('done'); import sys; sys.exit(7)"
    done = shell.run("offline", "run", "--emulator", FAKE, "--", sys.executable, "-c", script, code=7)
    assert done.stdout == "done\n"
    last = done.stderr.splitlines()[-1]
    assert last == "offline: no host was refused"


def test_what_it_was_refused_is_listed_at_the_end(shell: Shell) -> None:
    asks = "for i in 1 2; do curl -s https://pypi.example/ || true; done; curl -s http://plain.example; exit 3"
    done = shell.run("offline", "run", "--", "sh", "-c", asks, code=3)
    head, *listed = done.stderr.splitlines()[-3:]
    assert head.startswith("offline: 2 hosts were refused")
    assert listed == ["  pypi.example:443 (2 times)", "  plain.example:80 (once)"]


def test_a_command_within_finds_the_clouds_it_runs_in(shell: Shell) -> None:
    script = f"{CLI} offline advance 1h -o json; {CLI} offline fault no-capacity --always -o json; {CLI} offline faults"
    done = shell.run("offline", "run", "--emulator", FAKE, "--", "sh", "-ec", script)
    assert "no_capacity" in done.stdout.splitlines()[-1]
    assert not shell.record.exists()


def test_a_command_that_is_ended_by_a_signal_says_so(shell: Shell) -> None:
    assert shell.run("offline", "run", "--", "sh", "-c", "kill -9 $$", code=137).stdout == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_reaches_the_command_once_and_it_decides(shell: Shell, number: int) -> None:
    script = f"""
import signal, sys, time
heard = []
signal.signal({int(number)}, lambda *_: heard.append(1))
print("ready", flush=True)
deadline = time.monotonic() + 30
while not heard and time.monotonic() < deadline: time.sleep(0.01)
time.sleep(0.3)
sys.exit(40 + len(heard))
"""
    run = shell.start("offline", "run", "--", sys.executable, "-c", script)
    assert run.stdout is not None
    assert run.stdout.readline() == "ready\n"
    run.send_signal(number)
    _, err = run.communicate(timeout=60)
    assert (run.returncode, "refused" in err) == (41, True)


def test_ctrl_c_on_a_terminal_reaches_the_command_once() -> None:
    """The terminal tells the whole foreground group; the command must not be told a second time by us."""
    import pty

    script = "import signal,sys,time; n=[]; signal.signal(2,lambda *_:n.append(1)); print('ready',flush=True)\n"
    script += "while not n: time.sleep(0.01)\ntime.sleep(0.4); sys.exit(40+len(n))"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(CLI, [CLI, "offline", "run", "--", sys.executable, "-c", script])
    said = b""
    while b"ready" not in said:
        said += os.read(terminal, 1000)
    os.write(terminal, b"\x03")
    while True:
        try:
            if not os.read(terminal, 1000):
                break
        except OSError:
            break
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 41


@pytest.mark.parametrize("pause", [0, 0.02, 0.1])
@pytest.mark.parametrize("moment", ["*", "*/server.log", "*/lock", "*/ca/ca.pem", "*/server.json"])
def test_ctrl_c_while_it_starts_leaves_nothing(shell: Shell, tmp_path: Path, moment: str, pause: float) -> None:
    shell.environ["TMPDIR"] = str(tmp_path / "tmp")
    (tmp_path / "tmp").mkdir()
    run = shell.start("offline", "run", "--", "sleep", "300", start_new_session=True)
    until(lambda: list((tmp_path / "tmp").glob(moment)))
    time.sleep(pause)
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 130
    assert "Traceback" not in err
    until(lambda: not list((tmp_path / "tmp").iterdir()))
    until(lambda: not [process for process in psutil.process_iter() if _is_of(process, tmp_path)])


@pytest.mark.parametrize("moment", ["lock", "server.log", "server.json"])
def test_ctrl_c_while_they_start_in_the_background_leaves_none_or_one_that_is_found(shell: Shell, moment: str) -> None:
    shell.environ["TMPDIR"] = str(shell.folder / "tmp")
    (shell.folder / "tmp").mkdir()
    start = shell.start("offline", "start", start_new_session=True)
    until(lambda: [*shell.folder.rglob(moment)])
    os.killpg(start.pid, signal.SIGINT)
    _, err = start.communicate(timeout=60)
    assert "Traceback" not in err
    assert start.returncode in (0, 130, -signal.SIGINT)  # it was done, and Python at its end
    shell.run("offline", "stop")
    until(lambda: not list((shell.folder / "tmp").iterdir()))
    until(lambda: not [process for process in psutil.process_iter() if _is_of(process, shell.folder)])


def _is_of(process: psutil.Process, folder: Path) -> bool:
    try:
        return str(folder / "tmp") in " ".join(process.cmdline())
    except psutil.Error:
        return False


def test_clouds_in_the_background_from_start_to_stop(shell: Shell) -> None:
    started = shell.run("offline", "start", "--emulator", FAKE).stdout
    record = running(shell)
    assert record["url"] in started
    assert (stat.S_IMODE(shell.record.stat().st_mode), stat.S_IMODE(shell.record.parent.stat().st_mode)) == (
        0o600,
        0o700,
    )
    in_shell(shell, f'{sys.executable} -c "{PUT}"; curl -s https://nowhere.example || true')
    shell.run("offline", "advance", "2h")
    known = json.loads(shell.run("offline", "status", "-o", "json").stdout)
    [cloud] = [cloud for cloud in known["clouds"] if cloud["name"] == "fake"]
    assert [(one["name"], one["state"]) for one in cloud["resources"]] == [("one", "ready")]
    shown = shell.run("offline", "status").stdout
    assert "thing  one   north  2h   ready" in shown
    assert "  nowhere.example:443 (once)" in shown
    shell.run("offline", "reset")
    assert "fake: 0 resources" in shell.run("offline", "status").stdout
    assert shell.run("offline", "stop").stdout == "stopped\n"
    assert gone(record["process"]["pid"])
    assert not shell.record.exists()
    assert not Path(record["folder"]).exists()
    assert shell.run("offline", "stop").stdout == "no offline clouds ran in the background\n"


def test_two_starts_at_once_yield_one(shell: Shell) -> None:
    both = [shell.start("offline", "start", "-o", "json") for _ in range(2)]
    told = {json.loads(process.communicate(timeout=60)[0])["pid"] for process in both}
    assert told == {running(shell)["process"]["pid"]}


def test_a_second_start_with_other_settings_is_refused(shell: Shell) -> None:
    first = json.loads(shell.run("offline", "start", "--speed", "60", "-o", "json").stdout)
    for same in ([], ["--speed", "60"]):
        assert json.loads(shell.run("offline", "start", *same, "-o", "json").stdout) == first
    for other in ("61", "1"):  # the default, too, when it is asked for
        refused = shell.run("offline", "start", "--speed", other, code=2).stderr
        assert refused.splitlines()[0] == f"error: offline clouds run already, at {first['url']} and with speed 60.0"


def test_a_record_of_a_server_that_was_killed_is_cleaned_up(shell: Shell) -> None:
    shell.run("offline", "start")
    os.kill(running(shell)["process"]["pid"], signal.SIGKILL)
    until(lambda: gone(running(shell)["process"]["pid"]))
    assert "no offline cloud runs" in shell.run("offline", "status", code=3).stderr
    assert shell.run("offline", "stop").stdout == "no offline clouds ran in the background\n"
    assert not shell.record.exists()
    shell.run("offline", "start")
    assert psutil.pid_exists(running(shell)["process"]["pid"])


def test_a_shell_that_leads_to_clouds_that_have_ended_is_told_so(shell: Shell) -> None:
    shell.run("offline", "start")
    shell.environ |= json.loads(shell.run("offline", "env", "-o", "json").stdout)["variables"]
    shell.run("offline", "stop")
    for command in (["offline", "status"], ["jobs", "--offline"]):
        refused = shell.run(*command, code=3).stderr
        assert "has ended; this environment still leads to it (CLOUDOPS_OFFLINE)" in refused
        assert '`cloudops offline start` and `eval "$(cloudops offline env)"` lead this shell to others' in refused


def test_a_shell_whose_clouds_have_ended_can_be_led_to_new_ones(shell: Shell) -> None:
    shell.run("offline", "start")
    shell.environ |= json.loads(shell.run("offline", "env", "-o", "json").stdout)["variables"]
    shell.run("offline", "stop")
    assert "no offline cloud runs" in shell.run("offline", "env", code=3).stderr
    shell.run("offline", "start")
    shell.environ |= json.loads(shell.run("offline", "env", "-o", "json").stdout)["variables"]
    assert shell.run("offline", "status").stdout.startswith(running(shell)["url"])


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (["run", "--", "/no/such/command"], "cannot run /no/such/command: No such file or directory"),
        (
            ["run", "--speed", "-1", "--", "true"],
            "speed -1: expected more than 0, such as 60 for a minute in each second",
        ),
        (["run", "--image", "x", "--", "true"], "--image x: expected PATTERN=PYTHON"),
        (["start", "--data", ""], "--data: expected a folder, got nothing"),
        (["start", "--data", "/dev/null"], "/dev/null is no folder"),
        (["start", "--data", "/proc/1/nothing"], "/proc/1/nothing cannot be written: "),
        (["run"], "missing argument 'COMMAND...'"),
        (["advance", "5"], "invalid value for DURATION: expected a duration with its unit"),
    ],
)
def test_what_cannot_be_done_is_one_line(shell: Shell, command: list[str], message: str) -> None:
    if command[0] == "advance":
        shell.run("offline", "start")
    refused = [line for line in shell.run("offline", *command, code=2).stderr.splitlines() if line[:2] != "! "]
    assert refused[0].startswith(f"error: {message}")
    assert len(refused) <= 2


def test_a_full_disk_is_one_line(shell: Shell, tmp_path: Path) -> None:
    limited = f'ulimit -f 0; trap "" XFSZ; exec {shlex.quote(CLI)} offline start'
    done = subprocess.run(["sh", "-c", limited], env=shell.environ, capture_output=True, text=True, check=False)
    assert done.returncode in (1, 2)
    assert len(done.stderr.splitlines()) <= 2
    assert done.stderr.startswith("error: ")
    assert not shell.record.exists()


def test_a_cache_folder_that_cannot_be_made_is_one_line(shell: Shell) -> None:
    shell.environ["XDG_CACHE_HOME"] = "/dev/null"
    refused = shell.run("offline", "start", code=2).stderr
    assert refused.startswith("error: /dev/null/cloudops/offline cannot be written: Not a directory")
    shell.environ["XDG_CACHE_HOME"] = str(shell.folder / "cache")


def test_offline_starts_the_clouds_where_none_run_and_says_how_to_end_them(shell: Shell) -> None:
    Path(shell.folder / "cloudops.yaml").write_text("name: small\ntrain: {command: echo}\n")
    first = shell.run("jobs", "--offline")
    assert "offline clouds run in the background from now on; `" in first.stderr
    assert "offline stop` ends them" in first.stderr
    pid = running(shell)["process"]["pid"]
    second = shell.run("jobs", "--offline", "-o", "json")
    assert (json.loads(second.stdout), "background" in second.stderr) == ([], False)
    assert running(shell)["process"]["pid"] == pid


def test_offline_within_a_run_uses_its_clouds(shell: Shell) -> None:
    Path(shell.folder / "cloudops.yaml").write_text("name: small\ntrain: {command: echo}\n")
    done = shell.run("offline", "run", "--", CLI, "jobs", "--offline")
    assert "background" not in done.stderr
    assert not shell.record.exists()


def test_a_completion_starts_nothing(shell: Shell) -> None:
    Path(shell.folder / "cloudops.yaml").write_text("name: small\ntrain: {command: echo}\n")
    shell.environ |= {
        "_CLOUDOPS_COMPLETE": "bash_complete",
        "COMP_WORDS": "cloudops status --offline ",
        "COMP_CWORD": "3",
    }
    shell.start().communicate(timeout=60)
    assert not shell.record.exists()
    for name in ("_CLOUDOPS_COMPLETE", "COMP_WORDS", "COMP_CWORD"):
        del shell.environ[name]


#: Commands that talk to no provider.
WITHOUT = {"init", "schema", "providers", "completion", "config", "offline"}


def test_every_command_that_talks_to_a_provider_can_do_so_offline() -> None:
    import click

    context = click.Context(cli)
    for name in (name for section in SECTIONS.values() for name in section):
        command = cli.get_command(context, name)
        assert command is not None
        flags = {flag for parameter in command.params for flag in parameter.opts}
        assert ("--offline" in flags) is (name not in WITHOUT), name


@pytest.mark.parametrize("name", ["", "run", "start", "stop", "status", "env", "reset", "advance", "fault", "faults"])
def test_help_fits_a_terminal_and_has_an_example(shell: Shell, name: str) -> None:
    shown = shell.run("offline", *filter(None, [name]), "--help").stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert not name or f"cloudops offline {name}" in shown.partition("Example:")[2].replace("\n", " ")
