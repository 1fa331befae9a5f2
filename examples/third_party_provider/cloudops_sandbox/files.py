"""JSON files, locks and detached processes: all that this provider is made of."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from signal import SIGKILL
from typing import IO, Any


def read(path: Path) -> Any:
    """The value in a JSON file; None where there is no such file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None


def write(path: Path, value: Any) -> None:
    """Write a JSON file, whole or not at all."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        json.dump(value, file)
    os.replace(file.name, path)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other clients out: of two that create the same thing at once, one must find it there."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "clients.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def starting(folder: Path) -> Iterator[IO[str]]:
    """Hold ``folder/lock`` from before something is there until its process holds it: it is alive all the time."""
    folder.mkdir(parents=True, exist_ok=True)
    kill(folder)  # what is left of an earlier one
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def start(folder: Path, lock: IO[str], argv: Sequence[str], environment: Mapping[str, str], nice: int = 0) -> None:
    """Start a process that outlives this one. It, and all that it starts, hold the lock as long as they live.

    The shell ends at once, leaving the process to the system and its own number to their process group.
    """
    with open(folder / "log", "ab") as log:
        shell = subprocess.Popen(
            ["/bin/sh", "-c", '"$@" &', "sh", "nice", "-n", str(nice), *argv],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=(lock.fileno(),),
        )
    shell.wait()
    write(folder / "group.json", shell.pid)


def alive(folder: Path) -> bool:
    """Whether a process holds ``folder/lock``. The kernel frees it however they end."""
    try:
        with open(folder / "lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def signal(folder: Path, number: int) -> None:
    """Send a signal to all that runs in ``folder``."""
    group = read(folder / "group.json")
    if alive(folder) and group is not None:
        os.killpg(group, number)


def kill(folder: Path) -> None:
    """Kill all that runs in ``folder``."""
    while alive(folder):
        signal(folder, SIGKILL)
        time.sleep(0.01)


def remove(folder: Path) -> None:
    """Kill all that runs in ``folder``, and remove it."""
    kill(folder)
    shutil.rmtree(folder)


def environment(given: Mapping[str, str]) -> dict[str, str]:
    """What a process gets of this machine's environment, and what it is given."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    path = os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)])
    return {**kept, "PATH": path, **given}
