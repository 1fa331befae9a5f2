"""The life of a training job, from its first state to its last, as a worker drives it."""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudops.engine.folders import remove
from cloudops.offline.faults import FaultKind

from . import subjects, warm_pools
from .training_channels import DownloadError
from .training_machines import Machines
from .training_outputs import UploadError, artifact_uri, upload_artifacts
from .training_run import GRACE, Exit, Run
from .training_states import MESSAGES, End, enter

if TYPE_CHECKING:
    from .region import Record, Region

KIND = "training-job"
#: How long states last in which nothing happens here, in seconds of the offline clock.
_LAUNCH, _PREPARE = 0.2, 0.1
_CHECKPOINT_PERIOD = 1.0
_FAILURE_LIMIT = 1024

_NO_CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type."
)


_STOPPED = End("Stopped", "Stopped")
_MAX_WAIT = End("Stopped", "MaxWaitTimeExceeded")
_MAX_RUNTIME = End("Stopped", "MaxRuntimeExceeded")


class TrainingJob:
    """A job that has been accepted.

    Args:
        region: where.
        record: what describes it; changed under the region's lock.
        params: the request.
    """

    def __init__(self, region: Region, record: Record, params: Mapping[str, Any]) -> None:
        self.region, self.record, self.params = region, record, params
        self.name = record.name
        self.folder = region.folder / KIND / f"{record.name}-{time.time_ns():x}"
        self._clock = region.clock
        self._stop = threading.Event()
        self._asked = float("inf")
        self._killed = threading.Event()
        self._attempt = 0
        self._trained = 0.0
        self._machines = self._new_machines()
        #: Whether it has instances: those that it has launched, or a warm pool's.
        self._launched = False

    def take_over(self) -> None:
        """Have it run on the instances of a warm pool."""
        self._launched = True

    def stop(self) -> None:
        """Have it stop: its processes may save their work, and what they leave is kept."""
        self._enter("Stopping", status="Stopping")
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
            text = f"InternalServerError: the offline cloud failed: {type(error).__name__}: {error} "
            end = End("Failed", "Failed", f"{text}({Path(where.filename).name}, line {where.lineno})")
        keep = self._launched and warm_pools.kept(self.record, end.status, end.reason)
        with contextlib.suppress(OSError):
            if keep:
                self._machines.save_cache()
            remove(self.folder)
        self._finish(end, keep=keep)

    @property
    def spot(self) -> bool:
        """Whether its machines may be taken away."""
        return bool(self.params.get("EnableManagedSpotTraining"))

    # How it goes

    def _live(self) -> End:
        retries = self.params.get("RetryStrategy", {}).get("MaximumRetryAttempts", 0)
        while True:
            end = self._capacity() or self._start() or self._train()
            if end is None:
                self._enter("Interrupted")
                self._launched = False
                if not self._pause(_PREPARE):
                    return self._stopped()
            elif end.retryable and retries:
                retries -= 1
                self._launched = False
            else:
                return end
            self._enter("Restarting")

    def _stopped(self) -> End:
        """How a job ends that did not come to its end by itself."""
        if self._killed.is_set():
            return End("Failed", "Failed", "InternalServerError: the offline cloud was closed while the job ran")
        return _STOPPED

    def _capacity(self) -> End | None:
        """Wait for machines; an end where none are found."""
        while not self._launched and (rule := self._fault(FaultKind.NO_CAPACITY)) is not None:
            message = "Insufficient capacity error from EC2 while launching instances, retrying!"
            self._enter("Starting", message)
            left = self._wait_left()
            if not self._pause(min(rule.lasts, left)):
                return self._stopped()
            if self.spot and rule.lasts >= left:
                return _MAX_WAIT
            if not self.spot:
                return End("Failed", "Failed", _NO_CAPACITY)
        return None

    def _start(self) -> End | None:
        """Launch the machines and download what the job needs."""
        self._enter("Starting")
        if not self._launched and not self._pause(_LAUNCH):
            return self._stopped()
        self._launched = True
        self._enter("Downloading")
        self._attempt += 1
        self._machines = self._new_machines()
        try:
            self._machines.prepare()
        except (DownloadError, OSError) as error:
            return End("Failed", "Failed", f"ClientError: {error}"[:_FAILURE_LIMIT])
        self._enter("Downloading", "Downloading the training image")
        return None if self._pause(_PREPARE) else self._stopped()

    def _new_machines(self) -> Machines:
        folder, cache = self.folder / str(self._attempt), warm_pools.cache(self.record)
        return Machines(self.region, self.name, self.params, folder, cache)

    def _train(self) -> End | None:
        """Run the job's program and upload what it leaves; None where the machine was taken away."""
        begun = self._clock.now()
        with self.region.lock:
            self.record.described.setdefault("TrainingStartTime", begun)
        self._enter("Training")
        run = Run(self.region, self.name, self.params, self._machines)
        left = float(self.params["StoppingCondition"].get("MaxRuntimeInSeconds", 86400)) - self._trained
        end = self._ended(self._watched(run, begun + left))
        self._trained += self._clock.now() - begun
        if self._killed.is_set():
            return self._stopped()
        partial = self._fault(FaultKind.PARTIAL_UPLOAD) is not None
        self._save_checkpoints(partial=partial)
        if end is None:
            return None
        return self._upload(end, partial=partial)

    def _watched(self, run: Run, deadline: float) -> Exit | None:
        """The exit of the job's program; None where the machine was taken away."""
        run.start()
        cause, kill_at, saved = "", float("inf"), self._clock.now()
        while not run.ended():
            now = self._clock.now()
            if not cause and (cause := self._why_stop(now, deadline)):
                run.terminate()
                # From when it was asked for, however late that is noticed here.
                kill_at = (self._asked if cause == "stopped" else now) + GRACE
            elif now >= kill_at or self._killed.is_set():
                run.kill()
            if now - saved >= _CHECKPOINT_PERIOD:
                saved = now
                self._save_checkpoints()
            with self.region.lock:
                self.record.described["FinalMetricDataList"] = run.metrics()
            self._stop_or(0.05)
        with self.region.lock:
            self.record.described["FinalMetricDataList"] = run.metrics()
        return None if cause == "interrupted" else run.exit(cause)

    def _why_stop(self, now: float, deadline: float) -> str:
        if self._stop.is_set():
            return "stopped"
        if now >= deadline:
            return "runtime"
        if self.spot and self._wait_left() <= 0:
            return "wait"
        return "interrupted" if self.spot and self._fault(FaultKind.SPOT_INTERRUPTION) else ""

    def _ended(self, found: Exit | None) -> End | None:
        if found is None:
            return None
        if found.cause == "stopped":
            return _STOPPED
        if found.cause in ("runtime", "wait"):
            return _MAX_RUNTIME if found.cause == "runtime" else _MAX_WAIT
        if found.code == 0:
            return End("Completed", "Completed")
        return End("Failed", "Failed", self._failure(found))

    def _failure(self, found: Exit) -> str:
        """Why the program failed: what it wrote to ``/opt/ml/output/failure``, and its exit code."""
        texts = []
        for root in self._machines.roots:
            file = root / "output" / "failure"
            if file.is_file():
                texts.append(file.read_text(encoding="utf-8", errors="replace").strip())
        tail = f", exit code: {found.code}"
        words = next((text for text in texts if text), found.reason)
        return f"AlgorithmError: {words[: _FAILURE_LIMIT - len(tail) - 16]}{tail}"

    def _upload(self, end: End, *, partial: bool) -> End:
        if end.status != "Stopped" or not self._stop.is_set():
            self._enter("Uploading")
        model = end.status != "Failed"
        try:
            upload_artifacts(
                self.region,
                self.params["OutputDataConfig"],
                self.name,
                self._machines.roots,
                model=model,
                partial=partial,
            )
        except UploadError as error:
            return End("Failed", "Failed", f"ClientError: {error}"[:_FAILURE_LIMIT])
        if partial:
            reason = "InternalServerError: We encountered an internal error. Please try again."
            return End("Failed", "Failed", f"{reason} (the offline cloud was told to upload in part)", retryable=True)
        if model:
            with self.region.lock:
                uri = artifact_uri(self.params["OutputDataConfig"], self.name)
                self.record.described["ModelArtifacts"] = {"S3ModelArtifacts": uri}
        return end

    def _save_checkpoints(self, *, partial: bool = False) -> None:
        try:
            self._machines.save_checkpoints(partial=partial)
        except OSError as error:
            self._enter(self.record.described["SecondaryStatus"], f"Checkpoints cannot be uploaded: {error}")

    # What is told

    def _enter(self, secondary: str, message: str = "", *, status: str = "InProgress") -> None:
        """Have the job be in a state; one that is being stopped stays so until its end."""
        with self.region.lock:
            described = self.record.described
            if described["TrainingJobStatus"] == "Stopping" and status == "InProgress":
                return
            enter(described, secondary, message or MESSAGES[secondary], self._clock.now(), status)

    def _finish(self, end: End, *, keep: bool) -> None:
        with self.region.lock:
            described, now = self.record.described, self._clock.now()
            enter(described, end.secondary, end.reason or MESSAGES[end.secondary], now, end.status)
            described["SecondaryStatusTransitions"][-1]["EndTime"] = now
            described["TrainingEndTime"] = now
            if end.reason:
                described["FailureReason"] = end.reason
            if "TrainingStartTime" in described:
                described["TrainingTimeInSeconds"] = round(now - described["TrainingStartTime"])
                described["BillableTimeInSeconds"] = max(1, round(self._trained))
            warm_pools.leave(self.region, self.record, keep=keep)
            self.record.live = None

    # Waiting

    def _pause(self, seconds: float) -> bool:
        """Let time go by; False where the job is to stop."""
        return self._clock.wait(seconds, self._stop.is_set)

    def _stop_or(self, seconds: float) -> None:
        """Wait so much real time, less where the job is told to stop."""
        if self._stop.is_set():
            time.sleep(seconds)
        else:
            self._stop.wait(seconds)

    def _wait_left(self) -> float:
        longest = self.params["StoppingCondition"].get("MaxWaitTimeInSeconds")
        return float("inf") if longest is None else self.record.created + longest - self._clock.now()

    def _fault(self, kind: FaultKind) -> Any:
        return self.region.faults.take({kind}, subjects.TRAINING_JOB, self.name)
