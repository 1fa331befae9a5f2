"""What a failure says where the command line knows more than whoever raised it, and times that make no sense."""

from __future__ import annotations

import time

import click.testing
import pytest

from cloudops.cli import failures, jobs
from cloudops.errors import Throttled, Unavailable
from cloudops.refs import Phase, Ref, Status


def test_what_does_not_answer_may_be_offline_clouds_that_have_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLOUDOPS_OFFLINE", "http://127.0.0.1:1")
    assert failures.print_error(Unavailable("status j: no connection", hint="check HTTPS_PROXY")) == 3
    first, second = capsys.readouterr().err.splitlines()
    assert first == "error: status j: no connection"
    assert second.startswith("  the offline cloud at http://127.0.0.1:1 has ended")
    failures.print_error(Throttled("status j: slow down", hint="try again in a moment"))
    assert capsys.readouterr().err.endswith("  try again in a moment\n")


def test_a_job_of_a_cloud_whose_clock_is_ahead_has_not_run_for_less_than_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Found:
        ref = Ref("sagemaker", "1/x", "jobs", "j")

        def status(self) -> Status:
            return Status(Phase.RUNNING, started=time.time() + 3600)

    monkeypatch.setattr(jobs, "_job_or_endpoint", lambda what, options: Found())
    assert "ran for 0.0 s" in click.testing.CliRunner().invoke(jobs.status, ["j"]).output
