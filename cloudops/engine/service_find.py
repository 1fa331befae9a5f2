"""The processes of an endpoint, found in the process table.

The table cannot be out of date, unlike a file that a killed supervisor did not get to write: a replica started a
millisecond before the kill is found too, so it is adopted and never left behind.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from .process import ProcessId, end_group

SHIM = "cloudops.engine.service_shim"
ROUTER = "cloudops.engine.router"
SUPERVISOR = "cloudops.engine.service_supervisor"


@dataclass(frozen=True)
class Found:
    """A process of the endpoint with that ``life``; ``labels`` are the arguments after it."""

    module: str
    life: str
    labels: tuple[str, ...]
    process: ProcessId


def find(directory: Path, modules: Sequence[str] = (SHIM, ROUTER, SUPERVISOR)) -> list[Found]:
    """The running processes of the endpoint in ``directory`` (resolved), the oldest first."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            match = _match(process.cmdline(), str(directory), modules)
            if match:
                found.append(Found(*match, ProcessId.of(process.pid)))
    return sorted(found, key=lambda one: one.process.started)


def sweep(directory: Path, *, grace: float, which: Callable[[Found], bool] = lambda one: True) -> None:
    """End the processes of any endpoint in ``directory`` (of those, ``which``): those that would restart others first.

    Replicas get ``grace`` seconds to finish their requests.
    """
    # Supervisor and router each start the other anew: between the two ends a new one may have come.
    while restarting := list(filter(which, find(directory, [SUPERVISOR, ROUTER]))):
        for one in sorted(restarting, key=lambda one: one.module != SUPERVISOR):
            end_group(one.process, grace=0)
    for one in filter(which, find(directory, [SHIM])):
        end_group(one.process, grace=grace)


def _match(command: list[str], directory: str, modules: Sequence[str]) -> tuple[str, str, tuple[str, ...]] | None:
    if "-m" not in command[:4]:
        return None
    module, *arguments = command[command.index("-m") + 1 :] or [""]
    if module in modules and arguments[:1] == [directory]:
        return module, "".join(arguments[1:2]), tuple(arguments[2:])
    return None
