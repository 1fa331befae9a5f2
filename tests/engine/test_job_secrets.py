from __future__ import annotations

import sys

import pytest

from cloudops.engine import job

from .jobs import Jobs, python, running

KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\nAQEFAASCBKcwggSjAgEAAoIB\n-----END KEY-----\n"
SECRETS = {"TOKEN": "s3cr3t-töken-0123456789", "KEY": KEY}


def everything(jobs: Jobs) -> bytes:
    return b"".join(path.read_bytes() for path in jobs.root.rglob("*") if path.is_file())


def test_secrets_reach_the_job_and_no_disk(jobs):
    code = """
        import os, sys, time
        assert len(os.environ['TOKEN']) == 23 and os.environ['KEY'].count('\\n') == 4
        print('token is', os.environ['TOKEN'], flush=True)
        for character in os.environ['TOKEN']:
            sys.stderr.write(character); sys.stderr.flush(); time.sleep(0.01)
        print(file=sys.stderr)
        print(os.environ['KEY'])
        print(f"[cloudops] metric name={os.environ['TOKEN']} value=1")
        raise ValueError(f"cannot log in with {os.environ['TOKEN']}")
    """
    setup = (python("import os; print('setting up with', os.environ['TOKEN'])"),)
    state = jobs.run(python(code), secrets=SECRETS, setup=setup)
    assert state.reason == "exit code 1: ValueError: cannot log in with ***"
    lines = job.log_tail(jobs.root / "job", 100)
    assert lines[0] == "setting up with ***"
    assert lines[1:3] == ["token is ***", "***"]
    assert lines[3:7] == ["***"] * 4
    written = everything(jobs)
    for secret in (SECRETS["TOKEN"], *KEY.split("\n")[:-1]):
        assert secret.encode() not in written


def test_secrets_are_not_in_the_supervisor_that_others_may_look_at(jobs):
    folder = jobs.start(python("import time; print('up'); time.sleep(60)"), secrets=SECRETS)
    state = running(folder, "up")
    for name in ("environ", "cmdline"):
        with open(f"/proc/{state.supervisor.pid}/{name}", "rb") as file:
            assert SECRETS["TOKEN"].encode() not in file.read()


def test_secrets_are_masked_in_lines_that_are_split(jobs):
    # Lines are split after 64 KiB: here one secret lies across that place and another across the pipe's chunks.
    code = """
        import os, sys
        for before in (65536 - 10, 131072 - 5, 3):
            sys.stdout.write('x' * before + os.environ['TOKEN'] + 'y' * 70000)
        sys.stdout.flush()
    """
    jobs.run(python(code), secrets=SECRETS)
    texts = job.log_tail(jobs.root / "job", 100)
    whole = "".join(texts)
    assert whole.count("***") == 3
    assert "s3cr" not in whole
    assert "0123456789" not in whole
    assert max(len(text) for text in texts) <= 65536


def test_a_secret_larger_than_a_pipe(jobs):
    secrets = {"BIG": "0123456789abcdef" * 6000}
    state = jobs.run(python("import os; print(len(os.environ['BIG']))"), secrets=secrets)
    assert state.phase == "succeeded"
    assert job.log_tail(jobs.root / "job") == ["96000"]


def test_values_too_short_to_be_secret_do_not_ruin_the_log(jobs):
    jobs.run(python("print('111'); print('[cloudops] metric name=a value=111')"), secrets={"DEBUG": "1", "EMPTY": ""})
    assert job.log_tail(jobs.root / "job") == ["111", "[cloudops] metric name=a value=111"]
    assert [line.value for line in job.metrics(jobs.root / "job")] == [111.0]


def test_a_supervisor_that_dies_at_once_does_not_leave_the_client_waiting(jobs, monkeypatch):
    # It ends without reading the secrets, which are more than its pipe holds.
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(RuntimeError, match="ended without a word"):
        jobs.start(("true",), secrets={"BIG": "x" * 1_000_000})
