"""What processes use of this machine, as CloudWatch tells it: in percent of a core, and of the instance's memory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from cloudops.engine.process import descendants

if TYPE_CHECKING:
    import psutil

#: Real seconds between two looks.
PERIOD = 1.0


class Usage:
    """The use that a tree of processes makes of its instance.

    Args:
        memory: of the instance, in bytes.
    """

    def __init__(self, memory: int) -> None:
        self._memory = memory
        self._used: dict[int, float] = {}
        self._looked = 0.0

    def look(self, pid: int) -> Iterator[tuple[str, float, float, str]]:
        """Name, value, time and unit of each metric of the tree below ``pid``, once in every :data:`PERIOD`."""
        now = time.time()
        passed = now - self._looked
        if passed < PERIOD:
            return
        first, self._looked = not self._looked, now
        seconds, resident = self._measure(pid)
        if not first:
            yield "CPUUtilization", 100 * seconds / passed, now, "Percent"
        yield "MemoryUtilization", 100 * resident / self._memory, now, "Percent"

    def _measure(self, pid: int) -> tuple[float, int]:
        """Seconds of processors since the last look, and bytes of memory now."""
        used, resident = {}, 0
        for process in _tree(pid):
            found = _of(process)
            if found is not None:
                used[process.pid] = found[0]
                resident += found[1]
        seconds = sum(max(0.0, value - self._used.get(one, 0.0)) for one, value in used.items())
        self._used = used
        return seconds, resident


def _tree(pid: int) -> Sequence[psutil.Process]:
    import psutil

    try:
        return [psutil.Process(pid), *descendants(pid)]
    except psutil.Error:
        return []


def _of(process: Any) -> tuple[float, int] | None:
    import psutil

    try:
        with process.oneshot():
            times = process.cpu_times()
            return times.user + times.system, int(process.memory_info().rss)
    except psutil.Error:
        return None
