from __future__ import annotations

import json
import os
import subprocess
from types import SimpleNamespace

import psutil
import pytest

from cloudops.engine import job, limits
from cloudops.engine.limits import choose_cores, find_gpus, share_gpus, thread_variables, tree_memory

from .jobs import python, running, until

MIB = 1 << 20
CORES = sorted(os.sched_getaffinity(0))

GREEDY = """
    import time
    print('up', flush=True)
    block = bytearray(b'x') * (200 << 20)
    time.sleep(60)
"""


def test_a_job_over_its_memory_is_killed_and_told_why(jobs):
    state = jobs.run(python(GREEDY), memory=100 * MIB)
    assert (state.phase, state.exit_code) == ("failed", 137)
    used, limit = state.reason.removeprefix("out of memory: used ").split(" of ")
    assert limit == "100 MiB"
    assert 100 <= int(used.removesuffix(" MiB")) < 300
    assert state.ended - state.started < 10


def test_the_memory_of_children_counts_and_the_rank_is_named(jobs):
    code = f"""
        import os, subprocess, sys
        if os.environ['CLOUDOPS_RANK'] == '1':
            subprocess.run([sys.executable, '-S', '-c', {python(GREEDY)[-1]!r}], start_new_session=True)
        import time; time.sleep(60)
    """
    state = jobs.run(python(code), memory=100 * MIB, ranks=2)
    assert state.reason.startswith("rank 1: out of memory: used ")


def test_an_orphan_counts_for_the_rank_that_started_it(jobs):
    code = f"""
        import os, subprocess, sys, time
        if os.environ['CLOUDOPS_RANK'] == '1':
            hidden = "import subprocess, sys; subprocess.Popen([sys.executable, '-S', '-c', sys.argv[1]])"
            subprocess.run([sys.executable, '-S', '-c', hidden, {python(GREEDY)[-1]!r}], start_new_session=True)
        time.sleep(60)
    """
    state = jobs.run(python(code), memory=100 * MIB, ranks=2)
    assert state.reason.startswith("rank 1: out of memory: used ")


def test_running_out_of_memory_may_be_retried(jobs, tmp_path):
    code = f"""
        import pathlib
        first = not pathlib.Path({str(tmp_path / "tried")!r}).exists()
        pathlib.Path({str(tmp_path / "tried")!r}).touch()
        if first:
            {GREEDY.strip().replace(chr(10), chr(10) + " " * 8)}
    """
    state = jobs.run(python(code), memory=100 * MIB, retries=1)
    assert (state.phase, state.attempt) == ("succeeded", 2)


def test_memory_that_processes_share_is_counted_once(jobs):
    code = """
        import os, time
        block = bytearray(b'x') * (60 << 20)
        for _ in range(3):
            if os.fork() == 0:
                time.sleep(2.5)
                os._exit(0)
        time.sleep(2.5)
        print('fine')
    """
    state = jobs.run(python(code), memory=120 * MIB)
    assert state.phase == "succeeded", state.reason


def test_sizes_that_cannot_be_read_count_nothing():
    class Gone:
        pid = 2**22 + 1

        def memory_info(self):
            raise psutil.NoSuchProcess(self.pid)

    assert tree_memory([Gone()], 0) == 0
    here = psutil.Process()
    rss = here.memory_info().rss
    assert tree_memory([here], 1 << 60) == pytest.approx(rss, rel=0.1)
    assert tree_memory([here], 1) <= rss * 1.1


@pytest.mark.skipif(len(CORES) < 2, reason="this machine has one core, which cannot be limited further")
def test_a_job_is_bound_to_its_cores_with_all_its_children(jobs):
    code = """
        import json, os, subprocess, sys
        inner = 'import os; print(sorted(os.sched_getaffinity(0)), os.environ["OMP_NUM_THREADS"])'
        print(sorted(os.sched_getaffinity(0)), os.environ["OMP_NUM_THREADS"], flush=True)
        subprocess.run([sys.executable, '-S', '-c', inner])
    """
    state = jobs.run(python(code), cpus=0.5)
    assert state.phase == "succeeded"
    own, child = job.log_tail(jobs.root / "job")
    assert own == child
    cores, threads = own.rsplit(" ", 1)
    assert len(json.loads(cores)) == 1
    assert threads == "1"


@pytest.mark.skipif(len(CORES) < 2, reason="this machine has one core")
def test_the_cores_of_running_jobs_are_known(jobs):
    code = "import os, time; print(*sorted(os.sched_getaffinity(0)), flush=True); time.sleep(60)"
    folder = jobs.start(python(code), cpus=1)
    (core,) = until(lambda: job.log_tail(folder))
    assert {int(core)} in limits._bound_cores()


@pytest.mark.skipif(len(CORES) < 2, reason="this machine has one core")
def test_jobs_and_ranks_are_spread_over_the_cores(monkeypatch):
    monkeypatch.setattr(limits, "_bound_cores", lambda: [{core} for core in CORES[1:]])
    assert choose_cores(1) == [(CORES[0],)]
    monkeypatch.setattr(limits, "_bound_cores", list)
    assert sorted(choose_cores(1, len(CORES))) == [(core,) for core in CORES]
    assert len({choose_cores(0.5)[0] for _ in range(200)}) == len(CORES)


def test_cores_without_a_limit_or_with_one_that_is_none():
    assert choose_cores(None, 3) == [(), (), ()]
    assert choose_cores(len(CORES)) == [()]
    assert choose_cores(10_000.0, 2) == [(), ()]


def test_thread_counts_are_rounded_up_and_do_not_overrule_the_job(jobs):
    assert thread_variables(None) == {}
    assert set(thread_variables(1.5).values()) == {"2"}
    argv = python("import os; print(os.environ['OMP_NUM_THREADS'], os.environ['MKL_NUM_THREADS'])")
    folder = jobs.start(argv, cpus=1, env={"OMP_NUM_THREADS": "7"})
    job.wait(folder, 20)
    assert job.log_tail(folder) == ["7 1"]


SMI = """0, GPU-aaaa-1, NVIDIA A100-SXM4-80GB, 81920
1, GPU-bbbb-2, Tesla T4, 15360
2, GPU-cccc-3, Tesla T4, [N/A]
"""


@pytest.mark.parametrize(
    ("visible", "ids"),
    [
        (None, ["GPU-aaaa-1", "GPU-bbbb-2", "GPU-cccc-3"]),
        ("1", ["GPU-bbbb-2"]),
        ("GPU-cccc, 0", ["GPU-aaaa-1", "GPU-cccc-3"]),
    ],
)
def test_the_gpus_that_are_visible(visible, ids):
    found, reason = find_gpus(lambda _: SMI, {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible})
    assert [gpu.id for gpu in found] == ids
    assert reason == ""


def test_a_gpu_has_a_name_and_its_memory():
    found, _ = find_gpus(lambda _: SMI, {})
    assert [(gpu.name, gpu.memory) for gpu in found] == [
        ("NVIDIA A100-SXM4-80GB", 80 << 30),
        ("Tesla T4", 15 << 30),
        ("Tesla T4", 0),
    ]


def _raise(error):
    raise error


@pytest.mark.parametrize(
    ("run", "environ", "reason"),
    [
        (lambda _: _raise(FileNotFoundError("nvidia-smi")), {}, "nvidia-smi is not installed here"),
        (lambda _: _raise(subprocess.CalledProcessError(9, "nvidia-smi")), {}, "nvidia-smi failed"),
        (lambda _: _raise(subprocess.TimeoutExpired("nvidia-smi", 20)), {}, "nvidia-smi failed"),
        (lambda _: "", {}, "lists no GPU"),
        (lambda _: SMI, {"CUDA_VISIBLE_DEVICES": ""}, "CUDA_VISIBLE_DEVICES= hides the 3 GPUs here"),
    ],
)
def test_why_there_is_no_gpu(run, environ, reason):
    found, why = find_gpus(run, environ)
    assert found == []
    assert reason in why


def test_gpus_in_use_by_a_job_come_last(jobs):
    folder = jobs.start(python("import time; print('up'); time.sleep(60)"), gpus=("GPU-aaaa-1", "GPU-bbbb-2"))
    running(folder, "up")
    found, _ = find_gpus(lambda _: SMI, {})
    assert [gpu.id for gpu in found] == ["GPU-cccc-3", "GPU-aaaa-1", "GPU-bbbb-2"]


@pytest.mark.parametrize(
    ("ids", "ranks", "shares"),
    [
        ((), 2, [(), ()]),
        (("a", "b"), 1, [("a", "b")]),
        (("a", "b", "c", "d"), 2, [("a", "b"), ("c", "d")]),
        (("a",), 2, [("a",), ("a",)]),
    ],
)
def test_gpus_are_shared_evenly_where_that_is_possible(ids, ranks, shares):
    assert share_gpus(ids, ranks) == shares


def test_a_machine_without_affinity_sets_no_cores(monkeypatch):
    monkeypatch.setattr("cloudops.engine.limits.os", SimpleNamespace(environ={}))
    assert choose_cores(1, 2) == [(), ()]
