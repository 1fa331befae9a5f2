"""Runs a job: installs what it requires, gives it its environment, runs its command and reports how it ended."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from . import platforms, process
from .contract import Job, load
from .errors import Problem
from .install import install
from .reports import note

#: SIGTERM would end the shell at once. With this it waits for what it runs and ends with that exit code, not with 143;
#: what it runs is not affected: a program that the shell starts has none of its traps.
_PROLOGUE = "trap exit TERM INT; "


def train(job_file: Path, environ: Mapping[str, str], *, ml_root: Path = Path("/opt/ml")) -> int:
    """Run the job of ``job_file`` and return its exit code (128 + n where signal n ended it).

    ``ml_root`` is where SageMaker's folders are. When the job fails, one line with the reason goes to standard
    error and to the file in which the platform looks for it.

    Raises:
        Problem: the job cannot be started as it is described.
    """
    contract = platforms.contract(environ, ml_root)
    try:
        job = load(job_file, contract)
        code = _run(job, environ)
    except Problem as problem:
        _leave(str(problem), contract.failure_file)
        raise
    if code:
        reason = f"the command ended with {process.described(code)}: {_shortened(job.command)}"
        note(reason)  # no error of ours: the command's own last words say more
        _leave(reason, contract.failure_file)
    return code


def _run(job: Job, environ: Mapping[str, str]) -> int:
    shell, env = job.shell(), job.environment(environ)
    contract = job.contract
    for folder in (contract.model_dir, contract.output_dir, contract.checkpoint_dir, *contract.outputs.values()):
        _create(folder)
    if job.requirements is not None:
        install(job.requirements, environ, cwd=job.code, contained=contract.cloud != "local")
    return process.run(["/bin/sh", "-c", _PROLOGUE + shell], env=env, cwd=job.code)


def _create(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise Problem(f"the folder {folder} cannot be created: {error.strerror}") from error


def _leave(reason: str, failure_file: str | None) -> None:
    if failure_file is not None:
        with contextlib.suppress(OSError):  # the disk may be what failed; the log has the line too
            os.makedirs(os.path.dirname(failure_file), exist_ok=True)
            Path(failure_file).write_text(reason, encoding="utf-8")


def _shortened(command: str) -> str:
    line = " ".join(command.split())
    return line if len(line) <= 200 else f"{line[:197]}..."
