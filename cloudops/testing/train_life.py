"""How a job lives: it starts, goes through its phases, and succeeds, fails, is cancelled, or is tried again."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from cloudops.errors import JobFailed, NotFound, WaitTimeout
from cloudops.provider import Capability
from cloudops.refs import Phase, Status

from .contract import Contract, requires
from .projects import job, said
from .rig import Fault

if TYPE_CHECKING:
    from cloudops.handles import Job

    from .rig import Rig

#: Phases of a job in the order in which it may go through them.
ORDER = (Phase.PENDING, Phase.STARTING, Phase.RUNNING, Phase.STOPPING)


class TrainLife(Contract):
    """See :class:`cloudops.testing.TrainContract`."""

    def test_submit_returns_at_once_and_phases_come_in_order(self, rig: Rig) -> None:
        seen: list[Status] = []
        begun = time.monotonic()
        running = rig.session().train(job("sleep", "1.5"))
        assert not running.status().phase.final
        done = running.wait(rig.timeout, poll=rig.poll, on_change=seen.append)
        assert time.monotonic() - begun >= 1.5
        phases = [status.phase for status in seen]
        assert (phases[-1], done.phase, done.exit_code) == (Phase.SUCCEEDED, Phase.SUCCEEDED, 0)
        assert Phase.RUNNING in phases
        places = [ORDER.index(phase) for phase in phases[:-1]]
        assert places == sorted(places)

    def test_times_are_those_of_the_job(self, rig: Rig) -> None:
        status = rig.train(rig.session(), job("sleep", "0.5")).status()
        assert status.created is not None
        assert status.started is not None
        assert status.ended is not None
        assert status.created <= status.started + 1
        assert 0.3 <= status.ended - status.started < rig.timeout
        assert abs(time.time() - status.ended) < rig.timeout

    def test_waiting_ends_before_the_job_does(self, rig: Rig) -> None:
        running = rig.session().train(job("sleep", "60"))
        with pytest.raises(WaitTimeout, match="still"):
            running.wait(0.2, poll=rig.poll)
        assert not running.status().phase.final
        running.cancel()

    def test_cancel_before_it_runs(self, rig: Rig) -> None:
        waiting = rig.session().train(job("sleep", "60"))
        waiting.cancel()
        assert rig.ended(waiting) is Phase.CANCELLED

    def test_cancel_while_it_runs_twice_and_after_the_end(self, rig: Rig) -> None:
        running = rig.session().train(job("sleep", "60"))
        rig.printed(running, "asleep")
        running.cancel()
        running.cancel()
        with pytest.raises(JobFailed, match="cancelled"):
            running.wait(rig.timeout, poll=rig.poll)
        running.cancel()
        assert running.status().phase is Phase.CANCELLED

    def test_a_cancelled_job_does_nothing_more(self, rig: Rig) -> None:
        """Whatever its status says, it would go on costing money. What it printed before may still arrive."""
        running = rig.session().train(job("tick"))
        rig.printed(running, "tick 2")
        running.cancel()
        assert rig.ended(running) is Phase.CANCELLED
        rig.settled(lambda: sum(1 for _ in running.logs()), "the log of a cancelled job to end")

    def test_cancel_does_not_change_a_success(self, rig: Rig) -> None:
        done = rig.train(rig.session(), job("nothing"))
        done.cancel()
        assert done.status().phase is Phase.SUCCEEDED

    def test_failing_code_tells_why(self, rig: Rig) -> None:
        """The error has the end of the log, with the exception's line, and the exit code."""
        failing = rig.session().train(job("fail"))
        with pytest.raises(JobFailed) as caught:
            failing.wait(rig.timeout, poll=rig.poll)
        error = caught.value
        assert "ValueError: the data is upside down" in error.log_tail
        assert "about to fail" in error.log_tail
        assert (error.status.phase, error.status.exit_code) == (Phase.FAILED, 1)
        assert error.status.reason
        assert failing.uri in str(error)

    def test_exit_codes_are_kept(self, rig: Rig) -> None:
        failing = rig.session().train(job("leave", "77"))
        assert rig.ended(failing) is Phase.FAILED
        assert failing.status().exit_code == 77

    def test_a_command_that_does_not_exist_fails(self, rig: Rig) -> None:
        failing = rig.session().train(job("nothing", command="no-such-program --version"))
        with pytest.raises(JobFailed) as caught:
            failing.wait(rig.timeout, poll=rig.poll)
        assert any("no-such-program" in line for line in caught.value.log_tail)

    def test_a_failed_job_has_no_model(self, rig: Rig) -> None:
        failing = rig.session().train(job("fail"))
        assert rig.ended(failing) is Phase.FAILED
        with pytest.raises(NotFound):
            failing.model()

    def test_a_repeated_call_after_a_failure_is_a_new_job(self, rig: Rig) -> None:
        session = rig.session()
        first = session.train(job("fail"))
        assert rig.ended(first) is Phase.FAILED
        second = session.train(job("fail"))
        assert second != first
        assert rig.ended(second) is Phase.FAILED

    @requires(Capability.TIMEOUT)
    def test_a_timeout_ends_the_job(self, rig: Rig) -> None:
        endless = rig.session().train(job("sleep", "600", timeout=f"{rig.shortest_timeout:g}s"))
        with pytest.raises(JobFailed) as caught:
            endless.wait(rig.timeout, poll=rig.poll)
        status = caught.value.status
        assert status.phase is Phase.FAILED
        assert "time" in status.reason.lower()
        assert status.started is not None
        assert status.ended is not None
        # Neither at once, nor long after: what runs is paid for.
        lasted = status.ended - status.started
        assert rig.shortest_timeout / 2 <= lasted <= rig.shortest_timeout + rig.timeout_slack

    @requires(Capability.RETRIES, Capability.CHECKPOINTS)
    def test_a_retry_goes_on_from_the_checkpoint(self, rig: Rig) -> None:
        done = rig.train(rig.session(), job("resume", retries=1))
        assert said(done) == [{"resumed": 3}]
        assert done.status().attempt == 2

    @requires(Capability.RETRIES)
    def test_retries_end(self, rig: Rig) -> None:
        failing = rig.session().train(job("leave", "5", retries=1))
        assert rig.ended(failing) is Phase.FAILED
        assert failing.status().attempt == 2

    @requires(Capability.CHECKPOINTS)
    def test_a_repeated_call_goes_on_from_the_checkpoint_and_a_new_one_does_not(self, rig: Rig) -> None:
        session = rig.session()
        assert rig.ended(session.train(job("resume"))) is Phase.FAILED
        assert rig.ended(session.train(job("resume"), new=True)) is Phase.FAILED
        assert said(rig.train(session, job("resume"))) == [{"resumed": 3}]

    @requires(Capability.CHECKPOINTS)
    def test_an_interrupted_job_goes_on_from_its_checkpoint(self, rig: Rig) -> None:
        spot = {"use_spot": True} if rig.support(Capability.SPOT).ok else {}  # some interrupt no other machines
        running = rig.session().train(job("resume", "sleep", resources=spot))
        rig.printed(running, "asleep")
        with rig.inject(Fault.INTERRUPTION, running.ref):
            running.wait(rig.timeout, poll=rig.poll)
        assert said(running) == [{"resumed": 3}]

    @requires(Capability.MULTI_NODE)
    def test_ranks_meet(self, rig: Rig) -> None:
        """Each has a rank of its own, all know their number, and rank 0 answers at the master's address."""
        done = rig.train(rig.session(), job("ranks", resources={"num_nodes": 3}))
        found = sorted(said(done), key=lambda each: each["rank"])
        assert [(each["rank"], each["world"]) for each in found] == [(0, 3), (1, 3), (2, 3)]
        assert found[0]["heard"] == ["hello from 1", "hello from 2"]
        assert found[1]["heard"] == found[2]["heard"] == ["hello from 0"]
        assert {line.source for line in done.logs() if "[contract]" in line.text} == {"rank-0", "rank-1", "rank-2"}

    @requires(Capability.MULTI_NODE)
    def test_one_failed_rank_fails_the_job(self, rig: Rig) -> None:
        spec = job("nothing", command='test "$CLOUDOPS_RANK" = 0 && exec sleep 600; exit 9', resources={"num_nodes": 2})
        failing = rig.session().train(spec)
        assert rig.ended(failing) is Phase.FAILED

    def test_delete_ends_a_running_job(self, rig: Rig) -> None:
        running: Job = rig.session().train(job("sleep", "600"))
        rig.printed(running, "asleep")
        running.delete()
        running.delete()
        with pytest.raises(NotFound):
            running.status()

    @requires(Capability.LOG_FOLLOW)
    def test_following_its_log_ends_when_it_is_deleted(self, rig: Rig) -> None:
        running = rig.session().train(job("sleep", "600"))
        texts = []
        for line in running.logs(follow=True):
            texts.append(line.text)
            if line.text == "asleep":
                running.delete()
        assert texts[-1] == "asleep"
