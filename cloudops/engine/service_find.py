"""The processes of an endpoint, found in the process table.

The table cannot be out of date, unlike a file that a killed supervisor did not get to write: a replica started a
millisecond before the kill is found too, so it is adopted and never left behind.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from .process import ProcessId, end_group

SHIM = "cloudops.engine.service_shim"
ROUTER = "cloudops.engine.router"
SUPERVISOR = "cloudops.engine.service_supervisor"


@dataclass(frozen=True)
class Found:
    """A process of an endpoint; ``labels`` are the arguments after the endpoint's directory."""

    module: str
    labels: tuple[str, ...]
    process: ProcessId


def find(directory: Path, modules: Sequence[str] = (SHIM, ROUTER, SUPERVISOR)) -> list[Found]:
    """The running processes of the endpoint in ``directory`` (resolved), the oldest first."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError):
            match = _match(process.cmdline(), str(directory), modules)
            if match:
                found.append(Found(match[0], match[1], ProcessId.of(process.pid)))
    return sorted(found, key=lambda one: one.process.started)


def sweep(directory: Path, *, grace: float) -> None:
    """End every process of the endpoint in ``directory``: those that would restart others first."""
    for modules in ([SUPERVISOR], [ROUTER], [SHIM]):
        for one in find(directory, modules):
            end_group(one.process, grace=grace if modules == [SHIM] else 0)


def _match(command: list[str], directory: str, modules: Sequence[str]) -> tuple[str, tuple[str, ...]] | None:
    if "-m" not in command[:4]:
        return None
    place = command.index("-m") + 1
    if command[place : place + 1] and command[place] in modules and command[place + 1 : place + 2] == [directory]:
        return command[place], tuple(command[place + 2 :])
    return None
