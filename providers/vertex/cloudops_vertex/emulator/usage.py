"""What processes use of this machine, and what Cloud Monitoring is told of a job's."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from cloudops.engine.process import descendants

from .metric_types import TRAINING
from .series import Point

if TYPE_CHECKING:
    from .machine_types import MachineType
    from .names import Name
    from .site import Site

#: Real seconds between two looks.
_PERIOD = 1.0
_PREFIX = "ml.googleapis.com/training"


def used(pid: int) -> tuple[float, int]:
    """Seconds of processors that ``pid`` and the processes below it have used, and bytes of memory that they have."""
    import psutil

    seconds, resident = 0.0, 0
    tree = list(descendants(pid))
    with contextlib.suppress(psutil.Error):
        tree.append(psutil.Process(pid))
    for process in tree:
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            seconds += times.user + times.system
            resident += process.memory_info().rss
    return seconds, resident


class JobUsage:
    """Tells what a job's replica uses, as shares of its machine.

    Args:
        site: the emulated cloud.
        job: its name.
        size: of the replica's machine.
    """

    def __init__(self, site: Site, job: Name, size: MachineType) -> None:
        self._site, self._size = site, size
        self._project = site.projects.id(job.project) or job.project
        self._resource = {"project_id": self._project, "job_id": job.id, "region": job.location}
        self._before: tuple[float, float] | None = None

    def look(self, pid: int) -> None:
        """Look at the processes below ``pid``, where that has not been done in the last second."""
        now = time.time()
        if self._before is not None and now - self._before[0] < _PERIOD:
            return
        seconds, memory = used(pid)
        before, self._before = self._before, (now, seconds)
        if before is not None and seconds >= before[1]:
            self._tell("cpu/utilization", (seconds - before[1]) / (now - before[0]) / self._size.cores, now)
        self._tell("memory/utilization", memory / self._size.memory, now)

    def _tell(self, metric: str, value: float, at: float) -> None:
        points = [Point.at(at, value)]
        self._site.series.add(self._project, f"{_PREFIX}/{metric}", {}, TRAINING, self._resource, points)
