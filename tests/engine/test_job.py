from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from cloudops.engine import job, logs
from cloudops.engine.files import Lock
from cloudops.engine.job import JobSpec

from .jobs import ENV, python, running, until


def test_a_job_runs_and_its_state_log_and_metrics_are_kept(jobs):
    argv = python("print('[cloudops] metric name=auc value=0.75 step=3', flush=True); print('end')")
    state = jobs.run(argv, labels={"a": "b"})
    assert (state.phase, state.reason, state.exit_code, state.attempt) == ("succeeded", "", 0, 1)
    assert state.created <= state.started <= state.ended
    assert state.final
    assert state.pids == ()
    folder = jobs.root / "job"
    assert job.log_tail(folder) == ["[cloudops] metric name=auc value=0.75 step=3", "end"]
    (metric,) = job.metrics(folder)
    assert (metric.name, metric.value, metric.step, metric.rank, metric.attempt) == ("auc", 0.75, 3, 0, 1)
    assert state.started <= metric.time <= state.ended
    assert job.spec(folder).argv == argv
    assert job.spec(folder).labels == {"a": "b"}


def test_the_environment_is_the_given_one_and_what_the_engine_adds(jobs, monkeypatch):
    monkeypatch.setenv("NOT_DECLARED", "x")
    folder = jobs.start(
        python("import json, os; print(json.dumps(dict(os.environ)))"), env={"TZ": "UTC"}, secrets={"KEY": "s3cr"}
    )
    job.wait(folder, 20)
    seen = json.loads(job.log_tail(folder)[0])
    expected = {
        "CLOUDOPS_ATTEMPT": "1",
        "CLOUDOPS_JOB_ID": job.read(folder).id,
        "CLOUDOPS_MASTER_ADDR": "127.0.0.1",
        "CLOUDOPS_RANK": "0",
        "CLOUDOPS_WORLD_SIZE": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "KEY": "***",
        "PYTHONUNBUFFERED": "1",
        "TZ": "UTC",
    }
    assert {key: seen.get(key) for key in expected} == expected
    assert 0 < int(seen["CLOUDOPS_MASTER_PORT"]) < 65536
    assert "NOT_DECLARED" not in seen


def test_output_is_seen_while_the_job_runs(jobs):
    folder = jobs.start(python("import time\nprint('first')\ntime.sleep(60)"))
    state = running(folder, "first")
    assert state.phase == "running"
    assert len(state.pids) == 1


def test_a_failure_tells_the_exit_code_and_the_error(jobs):
    state = jobs.run(python("import sys; print('going on', file=sys.stderr)\nraise ValueError('bad data')"))
    assert (state.phase, state.exit_code) == ("failed", 1)
    assert state.reason == "exit code 1: ValueError: bad data"


def test_a_signal_is_named(jobs):
    state = jobs.run(python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"))
    assert (state.phase, state.exit_code, state.reason) == ("failed", 139, "killed by SIGSEGV")


def test_a_command_that_is_not_there_is_named_and_not_tried_again(jobs):
    state = jobs.run(("pyhton", "train.py"), retries=3)
    assert state.phase == "failed"
    assert state.reason == "cannot start 'pyhton': No such file or directory (pyhton)"
    assert (state.exit_code, state.attempt) == (127, 1)


def test_the_working_directory_is_made_and_filled_from_the_archive(jobs, tmp_path):
    (tmp_path / "träin me.py").write_text("print('from the archive', __file__)")
    archive = tmp_path / "code ü.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(tmp_path / "träin me.py", "träin me.py")
    cwd = tmp_path / "a new" / "földer"
    state = jobs.run((sys.executable, "träin me.py"), "jöb 1", cwd=str(cwd), archive=str(archive))
    assert state.phase == "succeeded", state.reason
    assert job.log_tail(tmp_path / "jöb 1") == [f"from the archive {cwd}/träin me.py"]


def test_an_archive_that_leaves_its_folder_is_refused(jobs, tmp_path):
    archive = tmp_path / "code.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(Path(__file__), "../../escaped.py")
    state = jobs.run(python("print(1)"), archive=str(archive))
    assert state.phase == "failed"
    assert "escaped.py" in state.reason
    assert not list(tmp_path.parent.glob("**/escaped.py"))


@pytest.mark.parametrize("content", [None, b"this is no archive"])
def test_an_archive_that_cannot_be_read_is_named(jobs, tmp_path, content):
    if content:
        (tmp_path / "code.tar").write_bytes(content)
    state = jobs.run(python("print(1)"), archive=str(tmp_path / "code.tar"))
    assert state.phase == "failed"
    assert str(tmp_path / "code.tar") in state.reason


def test_set_up_commands_run_once_in_order_before_the_first_attempt(jobs):
    setup = (python("print('one'); open('made', 'x')"), python("print('two', open('made').read())"))
    state = jobs.run(python("import sys; print('run'); sys.exit(1)"), setup=setup, retries=1)
    assert state.attempt == 2
    said = [line for line in job.log_tail(jobs.root / "job") if not line.startswith("[cloudops]")]
    assert said == ["one", "two ", "run", "run"]


def test_a_failing_set_up_command_ends_the_job(jobs):
    setup = (python("raise RuntimeError('no such package')"), python("print('not reached')"))
    state = jobs.run(python("print('not reached')"), setup=setup, retries=5)
    assert (state.phase, state.attempt, state.started) == ("failed", 0, None)
    assert state.reason == "setup: exit code 1: RuntimeError: no such package"
    assert "not reached" not in job.log_tail(jobs.root / "job")


def test_retries_go_on_from_the_checkpoint(jobs, tmp_path):
    code = """
        import os, pathlib, sys
        kept = pathlib.Path(os.environ['CLOUDOPS_CHECKPOINT_DIR'], 'step')
        step = int(kept.read_text()) if kept.exists() else 0
        kept.write_text(str(step + 1))
        print(f"[cloudops] metric name=step value={step}")
        sys.exit(0 if step == 2 else 3)
    """
    (tmp_path / "checkpoints").mkdir()
    env = {"CLOUDOPS_CHECKPOINT_DIR": str(tmp_path / "checkpoints")}
    state = jobs.run(python(code), env=env, retries=5)
    assert (state.phase, state.attempt, state.reason) == ("succeeded", 3, "")
    assert [(line.attempt, line.value) for line in job.metrics(jobs.root / "job")] == [(1, 0), (2, 1), (3, 2)]
    assert "[cloudops] attempt 1 ended: exit code 3; starting it again" in job.log_tail(jobs.root / "job")


@pytest.mark.parametrize("end", ["sys.exit(1)", "os.kill(os.getppid(), signal.SIGUSR2); time.sleep(30)"])
def test_fresh_folders_are_emptied_between_attempts(jobs, tmp_path, end):
    model, kept = tmp_path / "model", tmp_path / "kept"
    for folder in (model, kept):
        folder.mkdir()
    (model / "given").touch()
    code = f"""
        import os, pathlib, signal, sys, time
        first = os.environ["CLOUDOPS_ATTEMPT"] == "1"
        print(sorted(os.listdir({str(model)!r})))
        for folder in ({str(model)!r}, {str(kept)!r}, "."):
            pathlib.Path(folder, "part" if first else "whole").touch()
        os.chmod({str(model)!r}, 0o500)
        if first:
            {end}
    """
    state = jobs.run(python(code), fresh=(str(model),), retries=1)
    assert (state.phase, state.attempt) == ("succeeded", 2)
    assert sorted(path.name for path in model.iterdir()) == ["whole"]
    assert sorted(path.name for path in kept.iterdir()) == ["part", "whole"]
    assert {"part", "whole"} <= {path.name for path in (tmp_path / "job cwd").iterdir()}
    assert job.log_tail(jobs.root / "job", 10)[-1] == "[]"


def test_fresh_folder_that_is_a_link_leaves_alone_what_it_leads_to(jobs, tmp_path):
    model, others = tmp_path / "model", tmp_path / "others"
    others.mkdir()
    (others / "theirs").touch()
    code = f"""
        import os, sys
        if os.environ["CLOUDOPS_ATTEMPT"] == "1":
            os.symlink({str(others)!r}, {str(model)!r})
            sys.exit(1)
    """
    assert jobs.run(python(code), fresh=(str(model),), retries=1).phase == "succeeded"
    assert (model.is_symlink(), list(model.iterdir())) == (False, [])
    assert (others / "theirs").exists()


def test_retries_end(jobs):
    state = jobs.run(python("import sys; sys.exit(3)"), retries=2)
    assert (state.phase, state.attempt, state.reason) == ("failed", 3, "exit code 3")


def test_ranks_know_each_other_and_have_their_own_logs(jobs):
    code = """
        import os
        e = os.environ
        print(e['CLOUDOPS_RANK'], e['CLOUDOPS_WORLD_SIZE'], e['CLOUDOPS_MASTER_ADDR'], e['CLOUDOPS_MASTER_PORT'])
        print('[cloudops] metric name=loss value=1')
    """
    state = jobs.run(python(code), ranks=3)
    assert state.phase == "succeeded"
    said = {record.rank: record.text.split() for record in logs.read(jobs.root / "job") if record.text[0].isdigit()}
    assert {rank: words[:3] for rank, words in said.items()} == {
        rank: [str(rank), "3", "127.0.0.1"] for rank in range(3)
    }
    assert len({words[3] for words in said.values()}) == 1
    assert sorted(line.rank for line in job.metrics(jobs.root / "job")) == [0, 1, 2]


def test_a_rank_that_fails_ends_the_others_and_is_named(jobs):
    code = """
        import os, time
        if os.environ['CLOUDOPS_RANK'] == '1':
            raise SystemExit(7)
        time.sleep(60)
    """
    state = jobs.run(python(code), ranks=3)
    assert (state.phase, state.exit_code, state.reason) == ("failed", 7, "rank 1: exit code 7")
    assert state.ended - state.started < 10


def test_ranks_share_the_gpus(jobs):
    folder = jobs.start(python("import os; print(os.environ['CUDA_VISIBLE_DEVICES'])"), ranks=2, gpus=("a", "b"))
    job.wait(folder, 20)
    assert sorted((record.rank, record.text) for record in logs.read(folder)) == [(0, "a"), (1, "b")]


def test_a_folder_with_a_job_is_left_alone(jobs):
    folder = jobs.start(python("print('first')"))
    job.wait(folder, 20)
    assert job.start(folder, JobSpec(python("print('second')"), cwd=".")) is False
    with pytest.raises(FileExistsError, match="has a job already"):
        job.start(folder, JobSpec(python("print('second')"), cwd="."), on_exists="raise")
    assert job.log_tail(folder) == ["first"]
    assert job.read(folder).phase == "succeeded"


def test_of_many_starts_at_once_one_runs(jobs):
    code = """
        import sys
        from pathlib import Path
        from cloudops.engine import job
        spec = job.JobSpec((sys.executable, "-S", "-c", "print('ran')"), cwd=sys.argv[1])
        print(job.start(Path(sys.argv[1]), spec))
    """
    folder = jobs.root / "raced"
    jobs.folders.append(folder)
    command = [sys.executable, "-c", python(code)[-1], str(folder)]
    clients = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = sorted(client.communicate(timeout=30)[0].strip() for client in clients)
    assert answers == ["False", "False", "False", "True"]
    assert job.wait(folder, 20).phase == "succeeded"
    assert job.log_tail(folder) == ["ran"]


def test_a_start_that_was_cut_off_before_the_supervisor_counts_for_nothing(jobs):
    folder = jobs.start(python("print(1)"))
    job.wait(folder, 20)
    until(lambda: not Lock(folder / "lock").held_by_someone())
    state = json.loads((folder / "state.json").read_text())
    (folder / "state.json").write_text(json.dumps({**state, "phase": "pending", "supervisor": None}))
    assert job.start(folder, job.spec(folder)) is True
    assert job.wait(folder, 20).phase == "succeeded"
    assert job.log_tail(folder) == ["1", "1"]


def test_a_supervisor_that_cannot_start_says_why_and_leaves_no_job(jobs, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="could not be started"):
        jobs.start(("true",))
    assert not (jobs.root / "job" / "job.json").exists()
    monkeypatch.undo()
    assert jobs.run(("true",)).phase == "succeeded"


def test_a_spec_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="argv is empty"):
        JobSpec((), cwd=".")
    with pytest.raises(ValueError, match="ranks 0; expected 1 or more"):
        JobSpec(("true",), cwd=".", ranks=0)


def test_where_there_is_no_job(tmp_path):
    for ask in (job.read, job.spec, job.wait, job.interrupt):
        with pytest.raises(FileNotFoundError, match="there is no job in"):
            ask(tmp_path)
    assert job.cancel(tmp_path) is None
    assert job.metrics(tmp_path) == []
    assert list(logs.read(tmp_path)) == []


def test_wait_gives_up_in_time_and_leaves_the_job(jobs):
    folder = jobs.start(python("import time; time.sleep(60)"))
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    with pytest.raises(TimeoutError, match=r"after 3 s; it goes on"):
        job.wait(folder, 3, poll=1.0, clock=lambda: now[0], sleep=sleep)
    assert now[0] == 3.0
    assert not job.read(folder).final


def test_metrics_of_a_file_that_is_half_written(tmp_path):
    line = '{"name": "a", "value": NaN, "step": null, "rank": 0, "time": 1.0, "attempt": 1}'
    (tmp_path / "metrics.jsonl").write_text(f'{line}\n{{"name": "b", "val')
    (metric,) = job.metrics(tmp_path)
    assert metric.name == "a"
    assert metric.value != metric.value


def test_reading_a_job_imports_nothing_heavy(jobs):
    jobs.run(python("print(1)"))
    code = """
        import sys
        from pathlib import Path
        from cloudops.engine import job, logs
        assert job.read(Path(sys.argv[1])).phase == "succeeded"
        assert [record.text for record in logs.read(Path(sys.argv[1]), tail=1)] == ["1"]
        heavy = {"psutil", "subprocess", "ctypes", "asyncio", "tarfile", "socket", "hashlib", "pydantic"}
        print(sorted(heavy & sys.modules.keys()))
    """
    command = [sys.executable, "-c", python(code)[-1], str(jobs.root / "job")]
    assert subprocess.run(command, check=True, capture_output=True, text=True, env=ENV).stdout.strip() == "[]"


def test_the_job_inherits_no_descriptors_and_no_terminal(jobs):
    with open(os.devnull) as held:
        os.set_inheritable(held.fileno(), True)
        state = jobs.run(python("import os, sys; print(sorted(os.listdir('/proc/self/fd'))[:4], sys.stdin.read())"))
    assert state.phase == "succeeded"
    # 3 is the listing itself.
    assert job.log_tail(jobs.root / "job") == ["['0', '1', '2', '3'] "]


def test_a_folder_that_was_moved_is_still_read(jobs):
    folder = jobs.start(python("print(1)"))
    job.wait(folder, 20)
    moved = folder.rename(folder.with_name("moved"))
    assert job.read(moved).phase == "succeeded"


def test_a_relative_folder_is_understood(jobs, monkeypatch):
    monkeypatch.chdir(jobs.root)
    folder = Path("relative")
    jobs.folders.append(jobs.root / folder)
    job.start(folder, JobSpec(python("print(1)"), cwd=str(jobs.root)))
    assert until(lambda: job.read(folder).final)
    assert job.log_tail(folder) == ["1"]


def test_a_job_that_closes_its_output_goes_on(jobs):
    state = jobs.run(python("import os, time; os.close(1); os.close(2); time.sleep(0.7); os._exit(5)"))
    assert (state.phase, state.reason) == ("failed", "exit code 5")
    assert 0.6 < state.ended - state.started < 5


def test_a_client_that_is_interrupted_while_it_starts_a_job_leaves_it_to_its_supervisor(jobs, monkeypatch):
    launch = job._launch

    def interrupted(*arguments):
        launch(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "_launch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        jobs.start(python("print('ran')"))
    assert job.wait(jobs.root / "job", 20).phase == "succeeded"
