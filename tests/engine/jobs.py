"""Helpers for tests of jobs: real processes, ended with the test."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cloudops.engine import job
from cloudops.engine.job import JobSpec, JobState

ENV = {"PATH": os.environ["PATH"]}


def python(code: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs ``code``; -S because most tests need no packages, and it starts twice as fast."""
    return (sys.executable, "-S", "-c", textwrap.dedent(code), *arguments)


def until(condition: Callable[[], Any], timeout: float = 15.0) -> Any:
    """The first true value of ``condition``, which has to come in time."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout} s: {condition}"
        time.sleep(0.01)
    return value


def gone(pid: int) -> bool:
    """Whether no process of that id runs (a zombie does not)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return text.rpartition(")")[2].split()[0] in "ZX"


class Jobs:
    """Starts jobs in folders below one."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folders: list[Path] = []

    def start(self, argv: tuple[str, ...], name: str = "job", *, secrets: Any = None, **fields: Any) -> Path:
        folder = self.root / name
        fields.setdefault("cwd", str(self.root / f"{name} cwd"))
        fields["env"] = {**ENV, **fields.get("env", {})}
        self.folders.append(folder)
        job.start(folder, JobSpec(argv, **fields), secrets or {})
        return folder

    def run(self, argv: tuple[str, ...], name: str = "job", **fields: Any) -> JobState:
        return job.wait(self.start(argv, name, **fields), 30, poll=0.02)

    def end(self) -> None:
        for folder in self.folders:
            job.cancel(folder, wait=5)


def running(folder: Path, line: str) -> JobState:
    """The state of a job once it has printed that line."""
    until(lambda: line in job.log_tail(folder, 100))
    return job.read(folder)
