"""CPU and memory of the instances of endpoints, measured at their processes."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from .variant_metrics import MACHINES, add

if TYPE_CHECKING:
    from .hosted import Hosted
    from .region import Region


class Usage:
    """Remembers what processes had used at the last look."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._before: dict[str, tuple[float, float]] = {}

    def measure(self, hosted: Hosted) -> None:
        """Tell CloudWatch what the ready instances of an endpoint use; CPU in percent of one core."""
        import psutil

        for fleet in hosted.fleets():
            memory = fleet.blueprint.health.memory or psutil.virtual_memory().total
            for replica in fleet.replicas():
                if replica.phase == "ready" and replica.pid is not None:
                    self._measure(hosted.name, fleet.variant, replica.id, replica.pid, memory)

    def _measure(self, endpoint: str, variant: str, instance: str, pid: int, memory: int) -> None:
        import psutil

        from cloudops.engine.process import descendants

        used, resident = 0.0, 0
        for process in descendants(pid):
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                used += times.user + times.system
                resident += process.memory_info().rss
        now = time.monotonic()
        before = self._before.get(instance)
        self._before[instance] = (now, used)
        values = {"MemoryUtilization": (100 * resident / memory, "Percent")}
        if before is not None and now > before[0] and used >= before[1]:
            values["CPUUtilization"] = (100 * (used - before[1]) / (now - before[0]), "Percent")
        add(self._region, MACHINES, {"EndpointName": endpoint, "VariantName": variant}, values)
