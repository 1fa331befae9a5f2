"""The first process of a job: brings code, inputs and secrets, runs the attempts, keeps the time, leaves the results.

``boot.json`` beside this file says what to do:

================  ====================================================================================================
``bucket``        of everything that the job leaves; ``folder`` is its prefix there, without a slash at its end
``checkpoints``   prefix of the checkpoints in that bucket
``code``          key of the archive of the code in that bucket
``runtime``       file name of the runtime's archive, beside this file
``inputs``        name -> ``bucket``, ``key``, ``kind`` (``object``, or ``prefix`` with perhaps ``names`` below it)
``mount``         whether inputs are read through ``/gcs``, where that is there
``outputs``       names of the outputs
``requirements``  whether ``requirements.txt`` is beside this file
``secret``        address of the secret in Secret Manager, or empty
``kms_key``       for what is written, or empty
``env``           variables that the job's description has no room for
``attempts``      how often the command may run
``timeout``       seconds that one attempt may take, or null
``grace``         seconds between SIGTERM and SIGKILL
``command``       of the job; ``params`` are its parameters
================  ====================================================================================================

What it leaves in ``folder``: ``model/``, ``output/``, ``outputs/<name>/``, ``attempt.json`` from the second attempt on,
``ranks/<rank>.json`` for each rank that has ended, and ``failure.json`` of the first that failed. Vertex AI starts
containers again when machines are taken away, and after some failures; one that finds that its job has failed, or that
it had succeeded, ends as that did.

Standard library only; Python 3.9. Run with an argument, the path of a ``JOB.json``, it is one attempt.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from types import FrameType
from typing import Any, Optional

#: The last line of a log: whoever reads it knows that nothing follows. Not shown.
END = "[cloudops] end of the log"
#: Exit codes after which Vertex AI runs a whole job again, up to three times, as if a machine had failed.
#: https://cloud.google.com/vertex-ai/docs/training/understanding-training-service#errors
TRANSIENT = (6, 11, 134, 139)

_HERE = Path(__file__).resolve().parent
_NOWHERE = Path("/nonexistent")  # no folder of SageMaker's


def main(arguments: list[str]) -> int:
    """Run the job, or one attempt of it; returns the exit code."""
    with open(_HERE / "boot.json", encoding="utf-8") as file:
        given = json.load(file)
    sys.path[:0] = [str(_HERE), str(_HERE / given["runtime"])]
    if arguments:
        return _attempt(Path(arguments[0]))
    os.environ["CLOUDOPS_CLOUD"] = "vertex"
    try:
        return Boot(given).run()
    finally:
        print(END, flush=True)
        shutil.rmtree(_HERE, ignore_errors=True)


def _attempt(job: Path) -> int:
    from cloudops.runtime.errors import Problem
    from cloudops.runtime.reports import report
    from cloudops.runtime.train import train

    try:
        return train(job, os.environ, ml_root=_NOWHERE)
    except Problem as problem:
        report(str(problem))
        return 2


class Boot:
    """One replica of a job."""

    def __init__(self, given: dict[str, Any]) -> None:
        from cloudops.runtime import platforms
        from cloudops_vertex.container.gcs import Google
        from cloudops_vertex.container.sync import Checkpoints

        contract = platforms.contract(os.environ, _NOWHERE)
        self._given = given
        self._rank, self._ranks = contract.rank, contract.world_size
        self._google = Google(given["kms_key"])
        self._bucket, self._folder = given["bucket"], given["folder"]
        self._secrets: dict[str, str] = {}
        self._signals: list[int] = []
        self._child: Optional[subprocess.Popen[bytes]] = None
        checkpoints = f"{given['checkpoints']}/"
        folder = _HERE / "checkpoints"
        self._checkpoints = Checkpoints(self._google, self._bucket, checkpoints, folder, leader=self._rank == 0)

    def run(self) -> int:
        """Prepare, run the command until it succeeds or there is no attempt left, and leave what it made."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)
        try:
            before = self._before()
            if before is not None:
                return before
            self._prepare()
            code, reason = self._attempts()
            self._checkpoints.close()
            if self._signals:  # the job is cancelled, or the machine goes away and another one goes on
                return 143
            self._leave(code)
            return self._end(code, reason)
        except Exception as error:  # what cannot be prepared or left
            reason = self._masked(" ".join(str(error).split()) or type(error).__name__)
            print(f"[cloudops] error: {reason}", file=sys.stderr, flush=True)
            return 143 if self._signals else self._end(2, reason)

    # Before and after

    def _before(self) -> Optional[int]:
        """How this job has ended already; None where it has not."""
        failed = self._read("failure.json")
        if failed is not None:
            return _told(failed["code"])
        own = self._read(f"ranks/{self._rank}.json")
        if own is None:
            return None
        if self._rank == 0:
            return 0
        self._google.delete(self._bucket, f"{self._folder}/ranks/{self._rank}.json")  # all ranks run again
        return None

    def _read(self, name: str) -> Any:
        content = self._google.get(self._bucket, f"{self._folder}/{name}")
        return None if content is None else json.loads(content)

    def _prepare(self) -> None:
        given = self._given
        self._unpack()
        job = {
            "command": given["command"],
            "params": given["params"],
            "code": str(_HERE / "code"),
            "inputs": {name: self._input(name, where) for name, where in given["inputs"].items()},
            "outputs": {name: str(_HERE / "outputs" / name) for name in given["outputs"]},
            "model_dir": str(_HERE / "model"),
            "output_dir": str(_HERE / "output"),
            "checkpoint_dir": str(_HERE / "checkpoints"),
            "requirements": str(_HERE / "requirements.txt") if given["requirements"] else None,
        }
        (_HERE / "job.json").write_text(json.dumps(job), encoding="utf-8")
        self._secrets = self._google.secret(given["secret"]) if given["secret"] else {}
        self._checkpoints.start()

    def _unpack(self) -> None:
        archive, folder = _HERE / "code.tar", _HERE / "code"
        self._google.download(self._bucket, self._given["code"], archive)
        folder.mkdir()
        with tarfile.open(archive) as opened:
            if hasattr(tarfile, "data_filter"):
                opened.extractall(folder, filter="data")
            else:  # a Python without the filters; the archive is made by cloudops
                opened.extractall(folder)
        archive.unlink()

    def _input(self, name: str, where: dict[str, Any]) -> str:
        """The local path of an input: in the mounted bucket, or a copy."""
        bucket, key = where["bucket"], where["key"]
        mounted = Path("/gcs", bucket, key)
        if self._given["mount"] and mounted.exists() and "names" not in where:
            return str(mounted)
        folder = _HERE / "inputs" / name
        if where["kind"] == "object":
            path = folder / os.path.basename(key)
            self._google.download(bucket, key, path)
            return str(path)
        prefix = f"{key}/" if key else ""
        if not self._google.download_all(bucket, prefix, folder, where.get("names")):
            raise RuntimeError(f"gs://{bucket}/{prefix} (the input {name}) has no object")
        return str(folder)

    def _leave(self, code: int) -> None:
        """Copy what the command made to the bucket; only a success has a model."""
        for name in ("model", "output", "outputs") if code == 0 else ("output", "outputs"):
            if (_HERE / name).is_dir():
                self._google.upload_all(_HERE / name, self._bucket, f"{self._folder}/{name}/")

    def _end(self, code: int, reason: str) -> int:
        """Write down how this rank ended; the first waits for the others, as the job ends with it."""
        if code:
            failed = json.dumps({"rank": self._rank, "code": code, "reason": self._masked(reason)}).encode()
            self._google.put(self._bucket, f"{self._folder}/failure.json", failed, new=True)
            return _told(code)
        if self._rank == 0:
            self._await_others()
            if self._signals:
                return 143
        self._google.put(self._bucket, f"{self._folder}/ranks/{self._rank}.json", b'{"code": 0}')
        return 0

    def _await_others(self) -> None:
        others, wait = {f"{self._folder}/ranks/{rank}.json" for rank in range(1, self._ranks)}, 0.2
        while others and not self._signals:
            others -= set(self._google.names(self._bucket, f"{self._folder}/ranks/"))
            if others:
                time.sleep(wait)
                wait = min(5.0, wait * 1.5)

    # The command

    def _attempts(self) -> tuple[int, str]:
        """Exit code and reason of the last attempt."""
        environ = {**os.environ, **self._given["env"], **self._secrets}
        code, reason = 143, ""
        for attempt in range(1, self._given["attempts"] + 1):
            if attempt > 1:
                print(f"[cloudops] attempt {attempt} begins", flush=True)
                self._empty()
                told = json.dumps({"attempt": attempt}).encode()
                self._google.put(self._bucket, f"{self._folder}/attempt.json", told)
            code, reason = self._once({**environ, "CLOUDOPS_ATTEMPT": str(attempt)})
            if code == 0 or self._signals or reason.startswith("timeout"):
                break
        return code, reason

    def _once(self, environ: dict[str, str]) -> tuple[int, str]:
        if self._signals:
            return 143, ""
        masking = importlib.import_module("cloudops.runtime.masking")
        pipe = masking.Masked(masking.stdout(), self._secrets.values()) if self._secrets else None
        streams = {"stdout": pipe.writing, "stderr": pipe.writing} if pipe else {}
        command = [sys.executable, str(_HERE / "boot.py"), str(_HERE / "job.json")]
        # A group of its own, so that it can be ended with what it started; the session stays ours.
        self._child = child = subprocess.Popen(
            command,
            env=environ,
            cwd=str(_HERE / "code"),
            preexec_fn=os.setpgrp,  # noqa: PLW1509 - a system call and nothing else
            **streams,
        )
        if self._signals:  # between the look above and the start
            child.terminate()
        try:
            code = _shell(child.wait(self._given["timeout"]))
            return code, f"the command ended with exit code {code}" if code else ""
        except subprocess.TimeoutExpired:
            self._stop(child)
            reason = "timeout after {:g} s".format(self._given["timeout"])
            print(f"[cloudops] {reason}", file=sys.stderr, flush=True)
            return 124, reason
        finally:
            if pipe:
                pipe.close()

    def _stop(self, child: subprocess.Popen[bytes]) -> None:
        child.terminate()
        try:
            child.wait(self._given["grace"])
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)  # the runtime's children die with it
            child.wait()

    def _tell(self, number: int, _frame: Optional[FrameType]) -> None:
        """Vertex AI stops the job, or takes the machine away: the command is told, and not run again."""
        self._signals.append(number)
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)

    def _empty(self) -> None:
        """What a failed attempt left in them is no result of the one that follows."""
        for name in ("model", "output", "outputs"):
            shutil.rmtree(_HERE / name, ignore_errors=True)

    def _masked(self, text: str) -> str:
        if not self._secrets:
            return text
        mask = importlib.import_module("cloudops.runtime.masking").Mask(self._secrets.values())
        return str(mask(text.encode("utf-8", "surrogateescape")).decode("utf-8", "replace"))


def _shell(code: int) -> int:
    """An exit code as a shell tells it."""
    return 128 - code if code < 0 else code


def _told(code: int) -> int:
    """The exit code for Vertex AI, which is to run no job again because of what its command did."""
    return 1 if code in TRANSIENT else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
