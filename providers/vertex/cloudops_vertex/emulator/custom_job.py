"""The life of a CustomJob, from pending to its end, as a worker drives it."""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudops.engine.folders import remove
from cloudops.offline.faults import FaultKind

from . import subjects
from .job_run import GRACE, NotStarted, Run
from .persistent_resources import machine_of, machines
from .protocol.errors import CODES
from .states import state
from .store import stamp

if TYPE_CHECKING:
    from .site import Site
    from .store import Record

#: How long a job is pending where nothing happens here, in seconds of the offline clock.
_PENDING = 0.3
#: Seconds that a job may run without a timeout of its own: https://cloud.google.com/vertex-ai/docs/training
_LONGEST = 604_800.0
#: How often a job is started again whose machine was taken away.
_RESTARTS = 6
_MESSAGE = 2048


@dataclass(frozen=True)
class End:
    """How a job ends: its last state, and the code and text of its error."""

    state: str
    code: str = ""
    message: str = ""


def wanted_machines(job: Any) -> list[tuple[bytes, int]]:
    """What machines a job wants, and how many: those of each of its pools."""
    pools = [one for one in job.job_spec.worker_pool_specs if one.ListFields()]
    return [(machine_of(one.machine_spec), one.replica_count) for one in pools]


class CustomJob:
    """A job that has been accepted.

    Args:
        site: where.
        record: what describes it; changed under the store's lock.
    """

    def __init__(self, site: Site, record: Record) -> None:
        self.site, self.record = site, record
        self.shown = record.message.display_name
        self.folder = site.folder / "jobs" / f"{record.name.id}-{time.time_ns():x}"
        self._clock = site.clock
        self._stop = threading.Event()
        self._killed = threading.Event()
        self._asked = float("inf")
        self._attempt = 0
        self._machines = machines(site, record)

    def cancel(self) -> None:
        """Have it end: its processes get SIGTERM first. Under the store's lock."""
        self._enter("CANCELLING")
        self._asked = self._clock.now()
        self._stop.set()
        self._clock.wake()

    def end(self) -> None:
        """Have its processes killed."""
        self._killed.set()
        self._stop.set()

    def run(self) -> None:
        """Live; a bug of ours fails the job as an error of the service."""
        try:
            end = self._live()
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = f"the offline cloud failed: {type(error).__name__}: {error} "
            end = End("FAILED", "INTERNAL", f"{text}({Path(where.filename).name}, line {where.lineno})")
        with contextlib.suppress(OSError):
            remove(self.folder)
        if self._machines is not None:
            self._machines.give_back(self.record.name.id)
        self._finish(end)

    def _live(self) -> End:
        for _ in range(_RESTARTS + 1):
            end = self._capacity() or self._train()
            if end is not None:
                return end
            with self.site.store.lock:
                self._enter("PENDING")
        return End("FAILED", "RESOURCE_EXHAUSTED", f"The machines were taken away {_RESTARTS + 1} times.")

    @property
    def _spec(self) -> Any:
        return self.record.message.job_spec

    @property
    def _strategy(self) -> str:
        scheduling = self._spec.scheduling
        field = scheduling.DESCRIPTOR.fields_by_name["strategy"]
        return str(field.enum_type.values_by_number[scheduling.strategy].name)

    def _capacity(self) -> End | None:
        """Wait for machines; an end where none are found."""
        if self._machines is not None:
            while not self._machines.take(self.record.name.id, wanted_machines(self.record.message)):
                if not self._pause(_PENDING):
                    return self._stopped()
            return None
        while (rule := self._fault(FaultKind.NO_CAPACITY)) is not None:
            left = self._wait_left()
            if not self._pause(min(rule.lasts, left)):
                return self._stopped()
            if self._strategy not in ("SPOT", "FLEX_START") or rule.lasts >= left:
                region = self.record.name.location
                text = f"Resources are insufficient in region: {region}. Please try a different region."
                return End("FAILED", "RESOURCE_EXHAUSTED", text)
        return None if self._pause(_PENDING) else self._stopped()

    def _train(self) -> End | None:
        """Run the job's programs; None where a machine was taken away."""
        self._attempt += 1
        run = Run(self.site, self.record, self.folder / str(self._attempt))
        try:
            run.start()
        except NotStarted as error:
            run.tell(str(error))
            return End("FAILED", "INVALID_ARGUMENT", str(error))
        begun = self._clock.now()
        with self.site.store.lock:
            if not self._stop.is_set():
                self._enter("RUNNING")
            if not self.record.message.HasField("start_time"):
                stamp(self.record.message.start_time, begun)
        cause = self._watched(run, begun + self._limit())
        with contextlib.suppress(OSError):
            remove(run.folder)
        return self._ended(run, cause)

    def _watched(self, run: Run, deadline: float) -> str:
        """Why the programs were told to end; empty where they ended by themselves."""
        cause, kill_at = "", float("inf")
        while not run.ended():
            now = self._clock.now()
            if not cause and (cause := self._why_stop(now, deadline)):
                run.terminate()
                kill_at = (self._asked if cause == "cancelled" else now) + GRACE
            elif now >= kill_at or self._killed.is_set():
                run.kill()
            self._stop_or(0.05)
        return cause

    def _why_stop(self, now: float, deadline: float) -> str:
        if self._stop.is_set():
            return "cancelled"
        if now >= deadline:
            return "timeout"
        spot = self._strategy == "SPOT"
        return "interrupted" if spot and self._fault(FaultKind.SPOT_INTERRUPTION) else ""

    def _ended(self, run: Run, cause: str) -> End | None:
        if cause == "interrupted":
            return None
        if cause == "cancelled":
            return self._stopped()
        if cause == "timeout":
            text = f"The job has run for longer than its timeout, {self._limit():g}s."
            return End("CANCELLED", "DEADLINE_EXCEEDED", text)
        failure = run.failure()
        return End("SUCCEEDED") if failure is None else End("FAILED", "INVALID_ARGUMENT", failure)

    def _limit(self) -> float:
        timeout = self._spec.scheduling.timeout
        return float(timeout.seconds) + timeout.nanos / 1e9 or _LONGEST

    def _wait_left(self) -> float:
        """Seconds that it goes on waiting for machines."""
        scheduling = self._spec.scheduling
        if not scheduling.HasField("max_wait_duration") or not scheduling.max_wait_duration.seconds:
            return float("inf")
        return self.record.created + float(scheduling.max_wait_duration.seconds) - self._clock.now()

    def _stopped(self) -> End:
        if self._killed.is_set():
            return End("FAILED", "INTERNAL", "the offline cloud was closed while the job ran")
        return End("CANCELLED", "CANCELLED", "CustomJob was cancelled.")

    def _enter(self, name: str) -> None:
        self.record.message.state = state(f"JOB_STATE_{name}")
        self.site.store.touch(self.record)

    def _finish(self, end: End) -> None:
        with self.site.store.lock:
            message = self.record.message
            if end.code:
                message.error.code, message.error.message = CODES[end.code][1], end.message[:_MESSAGE]
            if self._fault(FaultKind.UNKNOWN_STATE) is not None:
                message.state = 99
                self.site.store.touch(self.record)
            else:
                self._enter(end.state)
            stamp(message.end_time, self._clock.now())
            self.record.live = None

    def _pause(self, seconds: float) -> bool:
        """Let time go by; False where the job is to stop."""
        return self._clock.wait(seconds, self._stop.is_set)

    def _stop_or(self, seconds: float) -> None:
        """Wait so much real time, less where the job is told to stop."""
        if self._stop.is_set():
            time.sleep(seconds)
        else:
            self._stop.wait(seconds)

    def _fault(self, kind: FaultKind) -> Any:
        return self.site.faults.take({kind}, subjects.CUSTOM_JOB, self.shown)
