"""What goes on beside predictions: logs are brought away, replicas measured, and their number follows the load."""

from __future__ import annotations

import contextlib
import math
import threading
import time
import traceback
from typing import TYPE_CHECKING

from cloudops.engine.folders import remove
from cloudops.offline.machines.tails import LogTail

from .hosted import Hosted
from .metric_types import ENDPOINT
from .serving_metrics import Told
from .usage import used

if TYPE_CHECKING:
    from cloudops.offline.machines.fleets import Fleet
    from cloudops.offline.machines.replicas import Replica

    from .site import Site

#: Real seconds between two rounds, and rounds between two measurements.
_ROUND, _SELDOM = 0.3, 10
_LOG = "aiplatform.googleapis.com/prediction_container"
#: The metrics by which the number of replicas can follow.
_CPU, _REQUESTS = (
    f"aiplatform.googleapis.com/prediction/online/{name}" for name in ("cpu/utilization", "request_count")
)
SCALED_BY = (_CPU, _REQUESTS)
#: Percent of the cores, where the deployed model says nothing.
_TARGET = 60.0
#: Lines of the engine's own begin so; those of the runtime in the container are the container's.
_MARKS = ("[cloudops] started ", "[cloudops] ended: ")


class Attendant:
    """Looks after all endpoints until :meth:`end`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._tails: dict[str, LogTail] = {}
        self._used: dict[str, tuple[float, float]] = {}
        threading.Thread(target=self._attend, name="vertex-hosting", daemon=True).start()

    def end(self) -> None:
        """Stop, after a last look at everything."""
        self._ended.set()
        self._collect_all()

    def collect(self, hosted: Hosted) -> None:
        """Bring all that its containers have written so far to Cloud Logging."""
        with self._lock:
            for fleet in list(hosted.made):
                for replica in list(fleet.made):
                    ended = replica.phase == "ended"  # looked at before the last lines are read
                    self._deliver(hosted, fleet, replica)
                    if ended:
                        fleet.made.remove(replica)
                        self._tails.pop(replica.id, None)
                        self._used.pop(replica.id, None)
                        with contextlib.suppress(OSError):
                            remove(replica.folder)
                if fleet.closed and not fleet.made:
                    hosted.made.remove(fleet)
                    with contextlib.suppress(OSError):
                        remove(fleet.blueprint.folder)

    def _attend(self) -> None:
        rounds = 0
        while not self._ended.wait(_ROUND):
            rounds += 1
            try:
                self._collect_all()
                if rounds % _SELDOM == 0:
                    self._measure_all()
            except Exception:  # the next round may go well; this one is told
                if not self._ended.is_set():
                    traceback.print_exc()

    def _collect_all(self) -> None:
        for record in self._site.store.all("endpoints"):
            if isinstance(record.live, Hosted):
                self.collect(record.live)

    def _deliver(self, hosted: Hosted, fleet: Fleet, replica: Replica) -> None:
        tail = self._tails.setdefault(replica.id, LogTail(replica.log))
        lines = [(moment, "INFO", text) for moment, text in tail.lines() if not text.startswith(_MARKS)]
        if lines:
            name = hosted.record.name
            resource = {"resource_container": name.project, "location": name.location, "endpoint_id": name.id}
            labels = {"deployed_model_id": fleet.variant, "replica_id": replica.id}
            project = self._site.projects.id(name.project) or name.project
            self._site.entries.add(project, _LOG, ENDPOINT, resource, lines, labels)

    def _measure_all(self) -> None:
        for record in self._site.store.all("endpoints"):
            if isinstance(record.live, Hosted):
                for deployed, fleet in list(record.live.fleets.items()):
                    load = self._measure(record.live, deployed, fleet)
                    self._scale(record.live, deployed, fleet, load)

    def _measure(self, hosted: Hosted, deployed: str, fleet: Fleet) -> float | None:
        """Tell what a deployed model's replicas use; their share of the cores on average, None where none is known."""
        now, loads = time.time(), []
        told = Told(self._site, hosted.record.name, deployed)
        told.replicas(fleet.ready(), fleet.desired, now)
        served = hosted.served.get(deployed)
        for replica in fleet.replicas():
            if replica.phase != "ready" or replica.pid is None or served is None:
                continue
            seconds, memory = used(replica.pid)
            before = self._used.get(replica.id)
            self._used[replica.id] = (now, seconds)
            if before is not None and now > before[0] and seconds >= before[1]:
                loads.append((seconds - before[1]) / (now - before[0]) / served.size.cores)
                told.usage(replica.id, loads[-1], memory, now)
        return sum(loads) / len(loads) if loads else None

    def _scale(self, hosted: Hosted, deployed: str, fleet: Fleet, load: float | None) -> None:
        """Have the number of replicas follow the load on their cores and their requests, between the two limits."""
        if load is None or deployed in hosted.deploying:
            return
        with self._site.store.lock:
            found = [one for one in hosted.record.message.deployed_models if one.id == deployed]
            if not found:
                return
            resources = found[0].dedicated_resources
            low, high = resources.min_replica_count, resources.max_replica_count
            targets = {one.metric_name: one.target for one in resources.autoscaling_metric_specs}
        if high > low:
            needed = [math.ceil(fleet.ready() * 100 * load / (targets.get(_CPU) or _TARGET))]
            if targets.get(_REQUESTS):  # a number per minute and replica, not a percentage
                needed.append(math.ceil(hosted.asked_lately(deployed) / targets[_REQUESTS]))
            wanted = min(max(*needed, low), high)
            if wanted != fleet.desired:
                fleet.scale(wanted)
