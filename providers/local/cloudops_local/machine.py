"""Whether this machine has what a request asks for, found out before anything is created."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudops.errors import NoCapacity, UnsupportedFeature

if TYPE_CHECKING:
    from cloudops.quantities import Accelerators, Amount

_GIB = 1 << 30


def fits(step: str, resources: Any, root: Path, copies: int = 1) -> None:
    """Hold a request's resources against this machine.

    Args:
        step: whose they are.
        resources: of each copy. Copies share the CPUs, and a limit of memory for each has to be there for all.
        root: where the disk is looked at.
        copies: the nodes of a job, or the replicas that an endpoint begins with.

    Raises:
        NoCapacity: it has fewer CPUs, less memory or less free disk than asked for.
        UnsupportedFeature: it has no such accelerators.
    """
    _enough((step, "resources", "cpus"), resources.cpus, float(cpus()), "CPUs")
    _enough((step, "resources", "memory"), resources.memory, memory() / _GIB, "GB of memory", copies)
    disk = getattr(resources, "disk_size", None)
    if disk is not None and disk * _GIB > shutil.disk_usage(root).free:
        free = shutil.disk_usage(root).free / _GIB
        raise _too_small((step, "resources", "disk_size"), f"{disk} GB of disk", f"{free:.0f} GB free")
    if resources.accelerators is not None:
        gpu_ids(step, resources.accelerators)


def gpu_ids(step: str, wanted: Accelerators | None) -> tuple[str, ...]:
    """The ids of the GPUs to use, for ``CUDA_VISIBLE_DEVICES``.

    Raises:
        UnsupportedFeature: there are not as many of that kind.
    """
    if wanted is None:
        return ()
    from cloudops.engine.limits import find_gpus

    found, why = find_gpus()
    matching = [gpu for gpu in found if wanted.name.lower() in gpu.name.lower()]
    if len(matching) < wanted.count:
        there = ", ".join(gpu.name for gpu in found) or f"none: {why}"
        raise UnsupportedFeature(
            f"this machine has not {wanted} (GPUs here: {there})",
            provider="local",
            hint=f"run without, --set {step}.resources.accelerators=null, or choose a cloud",
        ).at(step, "resources", "accelerators")
    return tuple(gpu.id for gpu in matching[: wanted.count])


def cpus() -> int:
    """CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """Bytes of memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _enough(key: tuple[str, ...], wanted: Amount | None, there: float, unit: str, copies: int = 1) -> None:
    if wanted is not None and wanted.value * copies > there:
        times = f"{copies} times " if copies > 1 else ""
        raise _too_small(key, f"{times}{wanted} {unit}", f"{there:.3g}")


def _too_small(key: tuple[str, ...], wanted: str, there: str) -> NoCapacity:
    return NoCapacity(
        f"asks for {wanted}, this machine has {there}",
        provider="local",
        hint="ask for less, or choose a cloud with --provider or --target",
    ).at(*key)
