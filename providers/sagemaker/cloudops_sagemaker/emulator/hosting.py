"""What goes on beside requests: logs and captures are brought away, alarms and scaling evaluated."""

from __future__ import annotations

import threading
import time
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING

from cloudops.engine.folders import remove
from cloudops.offline.machines.tails import LogTail

from . import alarms, scaling
from .hosted import Hosted, all_hosted
from .instance_metrics import Usage
from .sinks import log_stream

if TYPE_CHECKING:
    from pathlib import Path

    from cloudops.offline.machines.fleets import Fleet
    from cloudops.offline.machines.replicas import Replica

    from .region import Region

_NAME = __name__
#: Real seconds between two rounds.
_ROUND = 0.3
#: Rounds between measurements of what takes longer, or is asked for seldom.
_SELDOM = 20
#: Seconds of the offline clock after which an instance of a serverless endpoint that nobody asks is ended.
_IDLE = 300.0
#: Lines of the engine's own begin so.
_MARK = "[cloudops] "


def attend(region: Region) -> None:
    """Have the endpoints of a region looked after from now on."""
    with region.lock:
        if _NAME not in region.attached:
            region.attached[_NAME] = Attendant(region)


def collect(hosted: Hosted) -> None:
    """Bring all that its containers have written so far to CloudWatch Logs, and captures to S3."""
    attendant = hosted.region.attached.get(_NAME)
    if isinstance(attendant, Attendant):
        attendant.collect(hosted)


def clear(folder: Path) -> None:
    """Remove what an instance or a fleet leaves on this machine; what cannot be removed now goes with the emulator."""
    with suppress(OSError):
        remove(folder)


class Attendant:
    """Looks after the endpoints of ``region`` until :meth:`end`."""

    def __init__(self, region: Region) -> None:
        self._region = region
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._tails: dict[str, LogTail] = {}
        self._usage = Usage(region)
        scaling.follow(region)
        threading.Thread(target=self._attend, name=f"hosting-{region.name}", daemon=True).start()

    def end(self) -> None:
        """Stop, after a last look at everything."""
        self._ended.set()
        for hosted in all_hosted(self._region.all("endpoint")):
            self.collect(hosted)

    def collect(self, hosted: Hosted) -> None:
        """See :func:`collect`."""
        with self._lock:
            for fleet in list(hosted.made):
                for replica in list(fleet.made):
                    ended = replica.phase == "ended"  # looked at before the last lines are read
                    self._deliver(hosted, fleet, replica)
                    if ended:
                        fleet.made.remove(replica)
                        self._tails.pop(replica.id, None)
                        clear(replica.folder)
                if fleet.closed and not fleet.made:
                    hosted.made.remove(fleet)
                    clear(fleet.blueprint.folder)
        hosted.capture.flush()

    def _attend(self) -> None:
        clock, rounds = self._region.clock, 0
        while not self._ended.is_set():
            clock.wait(_ROUND * clock.speed, self._ended.is_set)
            rounds += 1
            try:
                self._round(seldom=rounds % _SELDOM == 0)
            except Exception:  # the next round may go well; this one is told
                if not self._ended.is_set():
                    self._complain()

    def _round(self, *, seldom: bool) -> None:
        region = self._region
        for hosted in all_hosted(region.all("endpoint")):
            self.collect(hosted)
            if seldom:
                hosted.queue.measure()
                self._usage.measure(hosted)
            self._shrink(hosted)
        alarms.board(region).catch_up(region.clock.now())

    def _shrink(self, hosted: Hosted) -> None:
        side = hosted.blue
        for member in side.members.values() if side else ():
            if member.serverless is None or member.fleet is None or hosted.status != "InService":
                continue
            if not member.serverless.get("ProvisionedConcurrency"):
                member.fleet.shrink_idle(self._region.clock.now() - _IDLE)

    def _deliver(self, hosted: Hosted, fleet: Fleet, replica: Replica) -> None:
        tail = self._tails.setdefault(replica.id, LogTail(replica.log))
        lines = [(moment, text) for moment, text in tail.lines() if not text.startswith(_MARK)]
        if lines:
            group = f"/aws/sagemaker/Endpoints/{hosted.name}"
            log_stream(self._region, group, f"{fleet.variant}/{replica.id}").deliver(lines)

    def _complain(self) -> None:
        self._region.folder.mkdir(parents=True, exist_ok=True)
        with (self._region.folder / "hosting.log").open("a", encoding="utf-8") as file:
            file.write(f"{time.time():.3f} {traceback.format_exc()}\n")
