"""What runs in containers: the first process of a job, masked output, and the hooks of a replica."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest
from cloudops_sagemaker import runtime
from cloudops_sagemaker.container.boot import END

from cloudops.runtime import masking

SECRET = 'it\'s "$HOME" é'


class Box:
    """An ``/opt/ml`` with a job's files in it."""

    def __init__(self, root: Path, command: str, **given: Any) -> None:
        self.ml = root
        self.job = root / "input" / "data" / "cloudops-job"
        self.job.mkdir(parents=True)
        for name in runtime.JOB_FILES:
            (self.job / name).write_bytes(runtime.container_file(name))
        name, body = runtime.runtime_archive()
        (self.job / name).write_bytes(body)
        code = root / "input" / "data" / "cloudops-code"
        code.mkdir()
        with tarfile.open(code / "code.tar", "w"):
            pass
        job = {"command": command, "inputs": {}, "outputs": {}, "params": {"p": 1}}
        job |= {
            "model_dir": "model",
            "output_dir": "output/data",
            "checkpoint_dir": "checkpoints",
            "requirements": None,
        }
        document = {
            "runtime": f"input/data/cloudops-job/{name}",
            "code": "input/data/cloudops-code/code.tar",
            "attempts": 1,
            "timeout": None,
            "grace": 1.0,
            "job": job,
        }
        (self.job / "boot.json").write_text(json.dumps({**document, **given}))

    def start(self, **environ: str) -> subprocess.Popen[str]:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.ml), **environ}
        command = ["/bin/sh", str(self.job / "entry.sh")]
        return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, **environ: str) -> tuple[int, list[str]]:
        process = self.start(**environ)
        text, _ = process.communicate(timeout=60)
        return process.returncode, text.splitlines()

    @property
    def failure(self) -> str:
        path = self.ml / "output" / "failure"
        return path.read_text() if path.exists() else ""


def test_a_command_runs_with_its_folders_and_the_log_has_an_end(tmp_path: Path) -> None:
    box = Box(tmp_path, "echo ${{params.p}} $CLOUDOPS_CLOUD $CLOUDOPS_MODEL_DIR $EXTRA", env={"EXTRA": "more"})
    assert box.run() == (0, [f"1 sagemaker {tmp_path}/model more", END])
    assert box.failure == ""


def test_a_failure_is_told_with_its_exit_code(tmp_path: Path) -> None:
    box = Box(tmp_path, "echo bad; exit 7")
    code, lines = box.run()
    assert (code, lines[0], lines[-1]) == (7, "bad", END)
    assert "exit code 7" in box.failure


def test_another_attempt_begins_with_empty_folders(tmp_path: Path) -> None:
    count = "n=$(cat $CLOUDOPS_CHECKPOINT_DIR/n 2>/dev/null || echo 0); echo $((n+1)) > $CLOUDOPS_CHECKPOINT_DIR/n; "
    box = Box(tmp_path, count + "ls $CLOUDOPS_MODEL_DIR; touch $CLOUDOPS_MODEL_DIR/left; test $n = 2", attempts=5)
    code, lines = box.run()
    assert code == 0
    assert "left" not in lines
    assert [line for line in lines if "attempt" in line] == [
        "[cloudops] attempt 2 begins",
        "[cloudops] attempt 3 begins",
    ]
    assert box.failure == ""


def test_a_timeout_ends_the_job_and_is_not_tried_again(tmp_path: Path) -> None:
    box = Box(tmp_path, "trap '' TERM; exec sleep 60", timeout=0.5, attempts=3)
    begun = time.monotonic()
    code, lines = box.run()
    assert (code, box.failure) == (124, "timeout after 0.5 s")
    assert time.monotonic() - begun < 20
    assert not [line for line in lines if "attempt" in line]


def test_a_job_that_is_stopped_is_not_tried_again(tmp_path: Path) -> None:
    box = Box(tmp_path, "echo ready; exec sleep 60", attempts=3)
    process = box.start()
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    text, _ = process.communicate(timeout=30)
    assert process.returncode == 143
    assert "attempt" not in text


def test_what_cannot_be_prepared_is_told(tmp_path: Path) -> None:
    box = Box(tmp_path, "true", code="input/data/nowhere.tar")
    code, lines = box.run()
    assert code == 2
    assert "nowhere.tar" in box.failure
    assert any(line.startswith("[cloudops] error: ") for line in lines)


def test_secrets_reach_the_command_and_not_the_log(tmp_path: Path) -> None:
    box = Box(tmp_path, 'printf "%s" "$TOKEN" > $CLOUDOPS_MODEL_DIR/got; echo "the token is $TOKEN."; exit 3')
    fake = tmp_path / "fake" / "boto3"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("from . import session\n")
    (fake / "session.py").write_text(
        "import json\n"
        "class Session:\n"
        "    def client(self, name, region_name):\n"
        "        assert (name, region_name) == ('secretsmanager', 'eu-west-1')\n"
        "        return self\n"
        "    def get_secret_value(self, SecretId):\n"
        f"        return {{'SecretString': json.dumps({{'TOKEN': {SECRET!r}}})}}\n"
    )
    code, lines = box.run(PYTHONPATH=str(fake.parent), CLOUDOPS_SECRET="cloudops/jobs/x", CLOUDOPS_REGION="eu-west-1")
    assert (code, lines[0]) == (3, "the token is ***.")
    assert (tmp_path / "model" / "got").read_text() == SECRET
    assert SECRET not in box.failure


def test_without_boto3_secrets_say_what_is_missing(tmp_path: Path) -> None:
    box = Box(tmp_path, "true")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "boto3.py").write_text("raise ImportError('no boto3')\n")
    code, _ = box.run(PYTHONPATH=str(broken), CLOUDOPS_SECRET="x", CLOUDOPS_REGION="eu-west-1")
    assert code == 2
    assert "boto3" in box.failure


@pytest.mark.parametrize(
    ("parts", "pause"),
    [
        (["a swordfish b"], 0.02),
        (["a sword", "fish b"], 0.02),
        (["a s", "w", "ordfish b"], 0.02),
        (["a sword", "fish b"], 0.4),
        (["a fisher", "man b"], 0.02),  # its first part ends like the beginning of another one, which is longer
    ],
)
def test_a_secret_is_masked_in_however_many_parts_it_comes(parts: list[str], pause: float, tmp_path: Path) -> None:
    with open(tmp_path / "out", "wb") as target:
        pipe = masking.Masked(target.fileno(), ["swordfish", "fisherman", "erased for ever", ""])
        for part in parts:
            os.write(pipe.writing, part.encode())
            time.sleep(pause)
        pipe.close()
    assert (tmp_path / "out").read_bytes() == b"a *** b"


_HOOKS = """
import json, sys
sys.path.insert(0, sys.argv[1] + "/code")
import inference
model = inference.model_fn(sys.argv[1])
for body, kind in json.load(sys.stdin):
    try:
        predictions = inference.predict_fn(inference.input_fn(body, kind), model)
        print(json.dumps(inference.output_fn(predictions, "*/*")[0].decode()))
    except Exception as error:
        print(json.dumps([getattr(error, "status_code", None) or error.code, str(error)]))
"""


def test_the_hooks_answer_as_the_runtime_does(tmp_path: Path) -> None:
    ours = tmp_path / "code" / "_cloudops"
    (ours / "code").mkdir(parents=True)
    name, body = runtime.runtime_archive()
    (ours / name).write_bytes(body)
    for each in runtime.SERVING_FILES:
        (ours / each).write_bytes(runtime.container_file(each))
    (tmp_path / "code" / "inference.py").write_bytes(runtime.container_file("inference.py"))
    (tmp_path / "weights").write_text("3")
    (ours / "code" / "predictor.py").write_text(
        "import os\n"
        "from cloudops.runtime import BadRequest\n"
        "def load(folder):\n"
        "    assert os.listdir(folder) == ['weights'], os.listdir(folder)\n"
        "    return int(open(folder + '/weights').read())\n"
        "def predict(model, rows):\n"
        "    if rows == [[0]]: raise BadRequest('no zeros')\n"
        "    if rows == [[1]]: raise RuntimeError('no ones')\n"
        "    return [model * row[0] for row in rows]\n"
    )
    bodies = [
        ("[[2], [3]]", "application/json"),
        ("[[0]]", "application/json"),
        ("[[1]]", "application/json"),
        ("x", "a/b"),
    ]
    env = {**os.environ, "CLOUDOPS_PREDICTOR": "predictor.py"}
    command = [sys.executable, "-c", _HOOKS, str(tmp_path)]
    done = subprocess.run(command, input=json.dumps(bodies), env=env, capture_output=True, text=True, check=True)
    good, bad, failed, strange = map(json.loads, done.stdout.splitlines())
    assert json.loads(good)["predictions"] == [6, 9]
    assert bad[0] == 400
    assert "no zeros" in bad[1]
    assert failed[0] == 500
    assert "no ones" in failed[1]
    assert strange[0] == 415
