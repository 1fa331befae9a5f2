"""What runs in containers: the stub in a job's arguments, and the first process of a job, against a small cloud."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cloudops_vertex import runtime
from cloudops_vertex.container.boot import END

from .google import PROJECT, Google, served

SECRET = 'it\'s "$HOME" é'
FOLDER = "p/jobs/small-train-1"


class Box:
    """A job in the bucket ``b``, and containers that run it."""

    def __init__(self, google: Google, address: str, folder: Path) -> None:
        self.google, self.address, self.folder = google, address, folder

    def stage(self, command: str, *, requirements: str = "", code: dict[str, str] | None = None, **given: Any) -> None:
        document = {
            "bucket": "b",
            "folder": FOLDER,
            "checkpoints": "p/checkpoints/one",
            "code": "p/code/x/code.tar",
            "runtime": runtime.runtime_name(),
            "inputs": {},
            "mount": True,
            "outputs": ["table"],
            "requirements": bool(requirements),
            "secret": "",
            "kms_key": "",
            "env": {},
            "attempts": 1,
            "timeout": None,
            "grace": 1.0,
            "command": command,
            "params": {"p": 1},
            **given,
        }
        files = {"boot.json": json.dumps(document).encode()}
        if requirements:
            files["requirements.txt"] = requirements.encode()
        self.google.put(f"gs://b/{FOLDER}/job.zip", runtime.job_archive(files))
        sink = io.BytesIO()
        with tarfile.open(fileobj=sink, mode="w") as archive:
            for name, text in (code or {}).items():
                info = tarfile.TarInfo(name)
                info.size = len(text.encode())
                archive.addfile(info, io.BytesIO(text.encode()))
        self.google.put("gs://b/p/code/x/code.tar", sink.getvalue())

    def start(self, *, python: str = sys.executable, **environ: str) -> subprocess.Popen[str]:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder),
            "STORAGE_EMULATOR_HOST": self.address,
            "GCE_METADATA_HOST": self.address.removeprefix("http://"),
            **environ,
        }
        command = [python, "-c", runtime.stub(), "b", f"{FOLDER}/job.zip"]
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, *, python: str = sys.executable, **environ: str) -> tuple[int, list[str]]:
        process = self.start(python=python, **environ)
        text, _ = process.communicate(timeout=60)
        return process.returncode, text.splitlines()

    def left(self, name: str) -> bytes | None:
        return self.google.objects().get(f"gs://b/{FOLDER}/{name}")

    @property
    def failure(self) -> Any:
        return json.loads(self.left("failure.json") or b"null")


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    google = Google(buckets={"b": {}, "other": {}})
    with served(google) as address:
        yield Box(google, address, tmp_path)


def cluster(rank: int, ranks: int) -> str:
    pools = {"workerpool0": ["one:2222"], "workerpool1": [f"more-{number}:2222" for number in range(1, ranks)]}
    task = {"type": "workerpool1" if rank else "workerpool0", "index": max(0, rank - 1)}
    return json.dumps({"cluster": pools, "task": task, "environment": "cloud"})


def test_a_command_runs_and_what_it_makes_is_kept(box: Box) -> None:
    box.stage(
        "sh run.sh; echo ${{params.p}} $CLOUDOPS_CLOUD $EXTRA",
        code={
            "run.sh": "echo m >$CLOUDOPS_MODEL_DIR/m; echo o >$CLOUDOPS_OUTPUT_DIR/o; echo t >$CLOUDOPS_OUTPUT_TABLE/t"
        },
        env={"EXTRA": "more"},
    )
    assert box.run() == (0, ["1 vertex more", END])
    assert (box.left("model/m"), box.left("output/o"), box.left("outputs/table/t")) == (b"m\n", b"o\n", b"t\n")
    assert (box.failure, box.left("ranks/0.json")) == (None, b'{"code": 0}')
    assert list(box.folder.iterdir()) == []  # nothing stays on the machine


def test_all_of_it_runs_with_python_3_9(box: Box) -> None:
    box.google.put("gs://other/d/a.csv", b"a")
    box.google.secrets["s"] = json.dumps({"TOKEN": "swordfish"}).encode()
    box.stage(
        "cat ${{inputs.x}}/a.csv; echo; touch $CLOUDOPS_MODEL_DIR/m; echo $TOKEN; sleep 1.2; "
        "test $CLOUDOPS_ATTEMPT = 2",
        inputs={"x": {"bucket": "other", "key": "d", "kind": "prefix"}},
        secret=f"{box.address}/v1/projects/{PROJECT}/secrets/s",
        attempts=2,
        timeout=60,
    )
    code, lines = box.run(python=_python39())
    ours = [line for line in lines if not line.startswith("[cloudops] the command ended")]
    assert (code, ours) == (0, ["a", "***", "[cloudops] attempt 2 begins", "a", "***", END])
    assert box.left("model/m") == b""


def test_a_failure_is_told_with_its_exit_code_and_has_no_model(box: Box) -> None:
    box.stage("echo m > $CLOUDOPS_MODEL_DIR/m; echo o > $CLOUDOPS_OUTPUT_DIR/o; echo bad; exit 7")
    code, lines = box.run()
    assert (code, lines[0], lines[-1]) == (7, "bad", END)
    assert box.failure == {"rank": 0, "code": 7, "reason": "the command ended with exit code 7"}
    assert (box.left("model/m"), box.left("output/o")) == (None, b"o\n")


@pytest.mark.parametrize("code", [134, 139])
def test_no_exit_code_makes_vertex_run_the_job_again(code: int, box: Box) -> None:
    box.stage(f"exit {code}")
    assert box.run()[0] == 1
    assert box.failure["code"] == code


def test_a_container_that_is_started_again_ends_as_its_job_has(box: Box) -> None:
    box.stage("echo ran; exit 7")
    assert box.run()[0] == 7
    assert box.run() == (7, [END])
    box.google.buckets["b"].pop(f"{FOLDER}/failure.json")
    box.stage("echo ran")
    assert box.run() == (0, ["ran", END])
    assert box.run() == (0, [END])


def test_another_attempt_begins_with_empty_folders(box: Box) -> None:
    count = "n=$(cat $CLOUDOPS_CHECKPOINT_DIR/n 2>/dev/null || echo 0); echo $((n+1)) > $CLOUDOPS_CHECKPOINT_DIR/n; "
    box.stage(count + "ls $CLOUDOPS_MODEL_DIR; touch $CLOUDOPS_MODEL_DIR/left; test $n = 2", attempts=5)
    code, lines = box.run()
    assert code == 0
    assert "left" not in lines
    assert [line for line in lines if "attempt" in line] == [
        "[cloudops] attempt 2 begins",
        "[cloudops] attempt 3 begins",
    ]
    assert json.loads(box.left("attempt.json") or b"") == {"attempt": 3}
    assert box.google.objects()["gs://b/p/checkpoints/one/n"] == b"3\n"


def test_a_timeout_ends_the_command_and_what_it_started(box: Box) -> None:
    box.stage("sleep 60 & sleep 60", timeout=0.7, attempts=3)
    begun = time.monotonic()
    code, lines = box.run()
    assert time.monotonic() - begun < 20
    assert (code, box.failure["reason"]) == (124, "timeout after 0.7 s")
    assert "[cloudops] attempt 2 begins" not in lines


def test_inputs_are_copied_where_nothing_is_mounted(box: Box) -> None:
    for name in ("d/a.csv", "d/b.csv", "d/c.txt", "d/sub/e.csv"):
        box.google.put(f"gs://other/{name}", name.encode())
    box.stage(
        "cat ${{inputs.one}}; echo; cat ${{inputs.all}}/sub/e.csv; echo; ls ${{inputs.some}}; basename ${{inputs.one}}",
        inputs={
            "one": {"bucket": "other", "key": "d/a.csv", "kind": "object"},
            "all": {"bucket": "other", "key": "d", "kind": "prefix"},
            "some": {"bucket": "other", "key": "d", "kind": "prefix", "names": ["a.csv", "b.csv"]},
        },
    )
    assert box.run() == (0, ["d/a.csv", "d/sub/e.csv", "a.csv", "b.csv", "a.csv", END])


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ({"bucket": "other", "key": "none", "kind": "object"}, "No such object: other/none"),
        ({"bucket": "other", "key": "none", "kind": "prefix"}, "gs://other/none/ (the input x) has no object"),
        ({"bucket": "gone", "key": "none", "kind": "prefix"}, "The specified bucket does not exist."),
    ],
)
def test_an_input_that_is_not_there_is_told(where: dict[str, str], reason: str, box: Box) -> None:
    box.stage("true", inputs={"x": where})
    code, lines = box.run()
    assert (code, lines) == (2, [f"[cloudops] error: {reason}", END])
    assert box.failure["reason"] == reason


def test_an_object_cannot_lead_out_of_its_folder(box: Box) -> None:
    box.google.put("gs://other/d/../../../evil", b"x")
    box.stage("true", inputs={"x": {"bucket": "other", "key": "d", "kind": "prefix"}})
    code, lines = box.run()
    assert (code, "leads out of its folder" in lines[0]) == (2, True)


def test_secrets_are_masked(box: Box) -> None:
    box.google.secrets["s"] = json.dumps({"TOKEN": "swordfish", "OTHER": SECRET}).encode()
    address = f"{box.address}/v1/projects/{PROJECT}/secrets/s"
    box.stage('echo "a $TOKEN b"; echo "$OTHER" >&2; test "$TOKEN" = swordfish', secret=address)
    assert box.run() == (0, ["a *** b", "***", END])


def test_a_secret_that_is_not_there_is_told(box: Box) -> None:
    box.stage("true", secret=f"{box.address}/v1/projects/{PROJECT}/secrets/gone")
    code, lines = box.run()
    assert (code, lines[0]) == (2, "[cloudops] error: the secret gone cannot be read: Secret [gone] not found.")


def test_a_checkpoint_is_there_when_the_machine_goes_away_without_a_word(box: Box) -> None:
    box.stage("cat $CLOUDOPS_CHECKPOINT_DIR/step 2>/dev/null || { echo 5 > $CLOUDOPS_CHECKPOINT_DIR/step; sleep 5; }")
    process = box.start()
    _until(lambda: "gs://b/p/checkpoints/one/step" in box.google.objects())
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=False).stdout
    process.kill()
    for child in children.split():
        os.killpg(int(child), signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()  # what the command started may have it still
    assert (box.failure, box.left("ranks/0.json")) == (None, None)
    assert box.run() == (0, ["5", END])


def test_a_deleted_checkpoint_is_deleted_there_too(box: Box) -> None:
    box.google.put("gs://b/p/checkpoints/one/old", b"1")
    box.stage("cd $CLOUDOPS_CHECKPOINT_DIR; mv old new; mkdir -p deep; echo 2 > deep/er; sleep 1.3")
    assert box.run()[0] == 0
    kept = {uri.rpartition("/one/")[2] for uri in box.google.objects() if "/checkpoints/" in uri}
    assert kept == {"new", "deep/er"}


def test_a_job_that_is_told_to_stop_keeps_its_checkpoint_and_is_not_over(box: Box) -> None:
    box.stage(
        "trap 'echo told; echo 9 > $CLOUDOPS_CHECKPOINT_DIR/last; exit 0' TERM; echo ready; "
        "while true; do sleep 0.05; done",
        attempts=3,
    )
    process = box.start()
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    text, _ = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "told" in text
    assert "attempt 2" not in text
    assert box.google.objects()["gs://b/p/checkpoints/one/last"] == b"9\n"
    assert (box.failure, box.left("ranks/0.json")) == (None, None)


def test_ranks_follow_from_the_cluster_and_the_first_waits_for_the_others(box: Box) -> None:
    box.stage("echo $CLOUDOPS_RANK of $CLOUDOPS_WORLD_SIZE at $MASTER_ADDR; sleep $CLOUDOPS_RANK")
    outcome: dict[int, tuple[int, list[str]]] = {}

    def one(rank: int) -> None:
        outcome[rank] = box.run(CLUSTER_SPEC=cluster(rank, 2))

    threads = [threading.Thread(target=one, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    for thread in threads:
        thread.join()
    assert outcome == {0: (0, ["0 of 2 at one", END]), 1: (0, ["1 of 2 at one", END])}
    written = list(box.google.buckets["b"])
    assert written.index(f"{FOLDER}/ranks/1.json") < written.index(f"{FOLDER}/ranks/0.json")


def test_the_failure_of_one_rank_is_that_of_the_job(box: Box) -> None:
    box.stage("exit $((CLOUDOPS_RANK * 9))")
    assert box.run(CLUSTER_SPEC=cluster(1, 2))[0] == 9
    assert box.failure["rank"] == 1
    assert box.run(CLUSTER_SPEC=cluster(0, 2)) == (9, [END])


def test_a_stub_that_cannot_read_says_so(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    program = runtime.stub().replace("time.sleep(", "time.sleep(0 * ")
    env = {**os.environ, "STORAGE_EMULATOR_HOST": box.address, "GCE_METADATA_HOST": box.address.removeprefix("http://")}
    command = [sys.executable, "-c", program, "b", "none.zip"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "[cloudops] error: gs://b/none.zip cannot be read: HTTP Error 404" in done.stderr


def test_a_stub_has_nothing_that_vertex_would_replace() -> None:
    program = runtime.stub()
    assert "$(" not in program
    assert '"""' not in program
    assert len(program) < 4000


def _python39() -> str:
    for path in Path.home().glob(".pyenv/versions/3.9.*/bin/python"):
        return str(path)
    pytest.skip("no Python 3.9 on this machine")


def _until(look: Any) -> None:
    deadline = time.monotonic() + 20
    while not look():
        assert time.monotonic() < deadline
        time.sleep(0.02)
