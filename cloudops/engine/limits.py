"""Limits on this machine's cores, memory and GPUs for one process tree among others."""

from __future__ import annotations

import contextlib
import math
import os
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .job_types import MARKER
from .process import environments

if TYPE_CHECKING:
    import psutil

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "LOKY_MAX_CPU_COUNT",
)
_GPUS = "CUDA_VISIBLE_DEVICES"


def thread_variables(cpus: float | None) -> dict[str, str]:
    """What tells the usual numerical libraries to use at most ``cpus`` threads; nothing without a limit."""
    return {} if cpus is None else dict.fromkeys(_THREAD_VARIABLES, str(_whole(cpus)))


def choose_cores(cpus: float | None, ranks: int = 1) -> list[tuple[int, ...]]:
    """For each rank the cores to be bound to: those that the fewest running jobs are bound to.

    Empty tuples where there is no limit, where this machine has no more cores than that, or where the system
    cannot bind processes (not Linux).
    """
    usable = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if cpus is None or _whole(cpus) >= len(usable):
        return [()] * ranks
    load = dict.fromkeys(usable, 0)
    for cores in _bound_cores():
        for core in cores & load.keys():
            load[core] += 1
    return [_take(load, _whole(cpus)) for _ in range(ranks)]


def tree_memory(processes: Iterable[psutil.Process], limit: int) -> int:
    """Bytes of memory that the processes use; pages that they share are counted once as soon as that matters.

    The sum of the resident sizes counts shared pages again for each process; it is cheap, and if even that is within
    ``limit`` it is the answer. Beyond it the proportional sizes (PSS, where the system tells them) are added up.
    """
    processes = list(processes)
    resident = sum(map(_resident, processes))
    return resident if resident <= limit else sum(map(_proportional, processes))


@dataclass(frozen=True)
class Gpu:
    """A GPU: ``id`` is its UUID, as CUDA_VISIBLE_DEVICES takes it; ``memory`` is in bytes."""

    id: str
    name: str
    memory: int


def gpus() -> list[Gpu]:
    """The NVIDIA GPUs that this process may use, those first that the fewest running jobs use."""
    return find_gpus()[0]


def find_gpus(
    run: Callable[[list[str]], str] | None = None, environ: Mapping[str, str] | None = None
) -> tuple[list[Gpu], str]:
    """The NVIDIA GPUs that this process may use, and why there is none where there is none.

    Args:
        run: gives the standard output of a command; raises OSError or CalledProcessError.
        environ: the environment whose CUDA_VISIBLE_DEVICES restricts them; ``os.environ`` by default.
    """
    from subprocess import SubprocessError

    command = ["nvidia-smi", "--query-gpu=index,uuid,name,memory.total", "--format=csv,noheader,nounits"]
    try:
        output = (run or _output)(command)
    except FileNotFoundError:
        return [], "nvidia-smi is not installed here, so there is no NVIDIA driver"
    except (OSError, SubprocessError) as error:
        return [], f"nvidia-smi failed: {error}"
    rows = [[part.strip() for part in line.split(",")] for line in output.splitlines() if line.count(",") == 3]
    visible = (os.environ if environ is None else environ).get(_GPUS)
    found = [Gpu(uuid, name, _mebibytes(memory)) for index, uuid, name, memory in rows if _shown(index, uuid, visible)]
    if not found:
        return [], "nvidia-smi lists no GPU" if not rows else f"{_GPUS}={visible} hides the {len(rows)} GPUs here"
    return _least_used(found), ""


def share_gpus(ids: tuple[str, ...], ranks: int) -> list[tuple[str, ...]]:
    """The GPUs of each rank: an even share where the numbers allow it, else all of them."""
    if len(ids) % ranks:
        return [ids] * ranks
    each = len(ids) // ranks
    return [ids[rank * each : (rank + 1) * each] for rank in range(ranks)]


def _whole(cpus: float) -> int:
    return max(1, math.ceil(cpus))


def _take(load: dict[int, int], count: int) -> tuple[int, ...]:
    """The ``count`` cores with the least load, which rises by that; chance decides between equals.

    Two jobs that start at the same moment do not see each other yet, hence chance rather than order.
    """
    chosen = sorted(load, key=lambda core: (load[core], random.random()))[:count]
    for core in chosen:
        load[core] += 1
    return tuple(sorted(chosen))


def _bound_cores() -> list[set[int]]:
    """For each rank of a running job the cores that it is bound to."""
    ranks: dict[tuple[str, str | None], set[int]] = {}
    for process, environment in environments(MARKER):
        with contextlib.suppress(OSError):
            ranks[environment[MARKER], environment.get("CLOUDOPS_RANK")] = os.sched_getaffinity(process.pid)
    return list(ranks.values())


def _resident(process: psutil.Process) -> int:
    import psutil

    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _proportional(process: psutil.Process) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return _resident(process)


def _output(command: list[str]) -> str:
    import subprocess

    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout


def _mebibytes(text: str) -> int:
    return int(text) << 20 if text.isdigit() else 0


def _shown(index: str, uuid: str, visible: str | None) -> bool:
    if visible is None:
        return True
    names = [name.strip() for name in visible.split(",") if name.strip()]
    return any(name == index or (name.startswith("GPU-") and uuid.startswith(name)) for name in names)


def _least_used(found: list[Gpu]) -> list[Gpu]:
    if len(found) < 2:
        return found
    users: dict[str, set[str]] = {gpu.id: set() for gpu in found}
    for _, environment in environments(MARKER):
        for name in environment.get(_GPUS, "").split(","):
            users.get(name, set()).add(environment[MARKER])
    return sorted(found, key=lambda gpu: len(users[gpu.id]))
