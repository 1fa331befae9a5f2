"""Timing that holds on a noisy machine: rounds interleaved, medians compared."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence


def medians(cases: Mapping[str, Callable[[], object]], rounds: int = 9) -> dict[str, float]:
    """The median seconds of each case; the cases take turns, after one round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(rounds + 1):
        for name, case in cases.items():
            started = time.perf_counter()
            case()
            if turn:
                times[name].append(time.perf_counter() - started)
    return {name: statistics.median(values) for name, values in times.items()}


def command(arguments: Sequence[str], cwd: str | None = None) -> Callable[[], object]:
    """A case that runs a command, its output thrown away; a failing command is an error."""
    return lambda: subprocess.run(arguments, cwd=cwd, check=True, capture_output=True)
