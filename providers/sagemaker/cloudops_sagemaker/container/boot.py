"""The first process of a job: unpacks the code, brings the secrets, runs the attempts and keeps the time.

``boot.json`` beside this file says what to do; its paths start at ``/opt/ml``, found from where this file lies:

===============  =====================================================================================================
``job``          the members of ``JOB.json`` (:mod:`cloudops.runtime.contract`), paths relative to ``/opt/ml``
``code``         the archive of the code, relative to ``/opt/ml``
``runtime``      the runtime's archive, relative to ``/opt/ml``
``unpack``       inputs that are archives: name -> archive, relative to ``/opt/ml``
``env``          variables that the job's description has no room for
``attempts``     how often the command may run
``timeout``      seconds that one attempt may take, or null
``grace``        seconds between SIGTERM and SIGKILL
===============  =====================================================================================================

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
from pathlib import Path
from types import FrameType
from typing import Any, Optional

#: The last line of a log: whoever reads it knows that nothing follows. Not shown.
END = "[cloudops] end of the log"

_HERE = Path(__file__).resolve().parent
_ML = _HERE.parents[2]


def main(arguments: list[str]) -> int:
    """Run the job, or one attempt of it; returns the exit code."""
    with open(_HERE / "boot.json", encoding="utf-8") as file:
        given = json.load(file)
    sys.path.insert(0, str(_ML / given["runtime"]))
    if arguments:
        from cloudops.runtime.errors import Problem
        from cloudops.runtime.reports import report
        from cloudops.runtime.train import train

        try:
            return train(Path(arguments[0]), os.environ, ml_root=_ML)
        except Problem as problem:
            report(str(problem))
            return 2
    try:
        return Boot(given).run()
    except Exception as error:  # what cannot be prepared; one line for the failure file
        return _fail(" ".join(str(error).split()) or type(error).__name__, 2)
    finally:
        print(END, flush=True)


class Boot:
    """One job."""

    def __init__(self, given: dict[str, Any]) -> None:
        self._given = given
        self._code = _ML / "code"
        self._job = _ML / "code.job.json"
        self._child: Optional[subprocess.Popen[bytes]] = None
        self._signals: list[int] = []

    def run(self) -> int:
        """Prepare, then run the command until it succeeds or there is no attempt left."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)
        self._unpack()
        environ = {**os.environ, **self._given.get("env", {}), "CLOUDOPS_CLOUD": "sagemaker"}
        sys.path.insert(0, str(_HERE))
        environ.update(secrets := importlib.import_module("cloudops_secret").bring(environ))
        code: Optional[int] = 0
        for attempt in range(1, self._given["attempts"] + 1):
            if attempt > 1:
                print(f"[cloudops] attempt {attempt} begins", flush=True)
                self._empty()
            code = self._attempt({**environ, "CLOUDOPS_ATTEMPT": str(attempt)}, secrets)
            if code == 0 or code is None or self._signals:
                break
        self._mask_failure(secrets)
        return 124 if code is None else code

    def _attempt(self, environ: dict[str, str], secrets: dict[str, str]) -> Optional[int]:
        """The exit code of one attempt; None where its time was over."""
        failure = _ML / "output" / "failure"
        failure.unlink(missing_ok=True)
        if self._signals:
            return 143
        masking = importlib.import_module("cloudops.runtime.masking")
        pipe = masking.Masked(masking.stdout(), secrets.values()) if secrets else None
        streams = {"stdout": pipe.writing, "stderr": pipe.writing} if pipe else {}
        command = [sys.executable, str(_HERE / "boot.py"), str(self._job)]
        # A group of its own, so that it can be ended with what it started; the session stays ours.
        self._child = child = subprocess.Popen(
            command,
            env=environ,
            cwd=str(self._code),
            preexec_fn=os.setpgrp,  # noqa: PLW1509 - a system call and nothing else
            **streams,
        )
        if self._signals:  # between the look above and the start
            child.terminate()
        try:
            return _shell(child.wait(self._given["timeout"]))
        except subprocess.TimeoutExpired:
            self._stop(child)
            self._late()
            return None
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

    def _late(self) -> None:
        reason = "timeout after {:g} s".format(self._given["timeout"])
        print(f"[cloudops] {reason}", file=sys.stderr, flush=True)
        _leave(reason)

    def _tell(self, number: int, _frame: Optional[FrameType]) -> None:
        """SageMaker stops the job, or takes the machine away: the command is told, and not run again."""
        self._signals.append(number)
        if self._child is not None and self._child.poll() is None:
            self._child.send_signal(number)

    def _unpack(self) -> None:
        _extract(_ML / self._given["code"], self._code)
        job = dict(self._given["job"])
        inputs = {name: str(_ML / path) for name, path in job.get("inputs", {}).items()}
        for name, path in self._given.get("unpack", {}).items():
            folder = _ML / "input" / "unpacked" / name
            _extract(_ML / path, folder)
            inputs[name] = str(folder)
        job["inputs"] = inputs
        job["outputs"] = {name: str(_ML / path) for name, path in job.get("outputs", {}).items()}
        job["code"] = str(self._code)
        for key in ("model_dir", "output_dir", "checkpoint_dir"):
            job[key] = str(_ML / job[key])
        if job.get("requirements"):
            job["requirements"] = str(_ML / job["requirements"])
        self._job.write_text(json.dumps(job), encoding="utf-8")

    def _empty(self) -> None:
        """What a failed attempt left in them is no result of the one that follows."""
        for folder in (self._given["job"]["model_dir"], self._given["job"]["output_dir"]):
            for entry in (_ML / folder).glob("*"):
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()

    def _mask_failure(self, secrets: dict[str, str]) -> None:
        failure = _ML / "output" / "failure"
        if secrets and failure.is_file():
            mask = importlib.import_module("cloudops.runtime.masking").Mask(secrets.values())
            failure.write_bytes(mask(failure.read_bytes()))


def _extract(archive: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as opened:
        if hasattr(tarfile, "data_filter"):
            opened.extractall(folder, filter="data")
        else:  # a Python without the filters; both archives are made by cloudops
            opened.extractall(folder)


def _shell(code: int) -> int:
    """An exit code as a shell tells it."""
    return 128 - code if code < 0 else code


def _fail(reason: str, code: int) -> int:
    print(f"[cloudops] error: {reason}", file=sys.stderr, flush=True)
    _leave(reason)
    return code


def _leave(reason: str) -> None:
    folder = _ML / "output"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "failure").write_text(reason, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
