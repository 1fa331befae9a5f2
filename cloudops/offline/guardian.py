"""Ends what a server's clouds had started, where the server itself no longer can: ``... guardian FOLDER FD TEMPORARY``.

FD is a pipe that the server holds open as long as it lives. What ends it without the word "done" is a death: the jobs
and endpoints in the folder are then killed, however their supervisors are kept apart from the server.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import psutil

DONE = b"done"


def watch(folder: Path, pipe: int, *, temporary: bool) -> None:
    """Wait for the end of the server in ``folder``, and clean up where it did not do so."""
    said = b""
    while piece := os.read(pipe, 64):
        said += piece
    if said != DONE:
        sweep(folder)
        if temporary:
            from cloudops.engine.folders import remove

            with contextlib.suppress(OSError):
                remove(folder)


def sweep(folder: Path) -> None:
    """Kill every process of the engine whose own folder is below ``folder``, and whatever knows it for its owner.

    Supervisors go first: they would start again what is killed below them.
    """
    from cloudops.engine.process import kill_until_gone

    kill_until_gone(lambda: _supervisors(folder))
    kill_until_gone(lambda: _owned(folder))


def _supervisors(folder: Path) -> list[psutil.Process]:
    """The engine's own processes (their first argument is their folder) with all below them.

    What left its group or cleared its environment is there too: a supervisor adopts the orphans of its job.
    """
    import psutil

    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if _supervises(process.cmdline(), folder):
                found[process.pid] = process
                found.update((child.pid, child) for child in process.children(recursive=True))
    return list(found.values())


def _supervises(command: list[str], folder: Path) -> bool:
    if "-m" not in command[:4]:
        return False
    module, *arguments = command[command.index("-m") + 1 :] or [""]
    return module.startswith("cloudops.engine.") and bool(arguments) and Path(arguments[0]).is_relative_to(folder)


def _owned(folder: Path) -> list[psutil.Process]:
    from cloudops.engine.process import environments

    from .environment import OWNER

    return [process for process, environment in environments(OWNER) if environment[OWNER] == str(folder)]


if __name__ == "__main__":
    import signal

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    watch(Path(sys.argv[1]), int(sys.argv[2]), temporary=sys.argv[3] == "1")
