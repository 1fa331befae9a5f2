"""The life of a BatchPredictionJob: replicas of the model, requests with so many instances each, and their answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from google.protobuf import json_format

from cloudops.engine.folders import remove
from cloudops.offline.faults import FaultKind
from cloudops.offline.machines.fleets import Fleet, FleetFailed
from cloudops.offline.machines.replicas import Health
from cloudops.offline.machines.tails import LogTail

from . import subjects
from .batch_input import Instance, instances, objects
from .batch_output import Output, directory
from .exchange import TIMEOUT, exchange
from .protocol.errors import CODES, ServiceError
from .serving import Served
from .states import state
from .storage.errors import StorageError
from .store import stamp

if TYPE_CHECKING:
    from .machine_types import MachineType
    from .site import Site
    from .store import Record

#: How long a job is pending where nothing happens here, in seconds of the offline clock.
_PENDING = 0.3
#: Requests to a replica at a time, and how often one is sent again that has failed.
_AT_ONCE, _RETRIES = 4, 3
#: Seconds that an answer to a health check may take, and real ones between two looks at the logs.
_PATIENCE, _LOOK = 10.0, 0.2
_MESSAGE, _PARTIAL = 2048, 20
_MARK = "[cloudops] "
_LOST = "the offline cloud was closed while the job ran"


@dataclass(frozen=True)
class End:
    """How a job ends: its last state, and the code and text of its error."""

    state: str
    code: str = ""
    message: str = ""


class BatchJob:
    """A job that has been accepted.

    Args:
        site: where.
        record: what describes it; changed under the store's lock.
        model: the version that predicts.
        size: of the machines.
    """

    def __init__(self, site: Site, record: Record, model: Record, size: MachineType) -> None:
        self.site, self.record = site, record
        message, name = record.message, record.name
        self._request = type(message).FromString(message.SerializeToString())
        self._model, self._size = model, size
        self._folder = site.folder / "batches" / f"{name.id}-{time.time_ns():x}"
        self._served = Served(site, name.id, name.id, model, size, message.service_account)
        self._fleet: Fleet | None = None
        self._stop = threading.Event()
        self._killed = threading.Event()
        self._over = threading.Event()
        self._tails: dict[str, LogTail] = {}
        self._lock = threading.Lock()
        self._good = self._bad = self._left = 0

    def cancel(self) -> None:
        """Have it end; requests that are under way are broken off. Under the store's lock."""
        self._enter("CANCELLING")
        self._stop.set()
        self.site.clock.wake()
        threading.Thread(target=self._close, name=f"batch-cancel-{self.record.name.id}", daemon=True).start()

    def end(self) -> None:
        """End everything at once."""
        self._killed.set()
        self._stop.set()
        self._close()

    def run(self) -> None:
        """Live; a bug of ours fails the job as an error of the service."""
        try:
            end = self._live()
        except (ServiceError, StorageError, FleetFailed) as error:
            end = End("FAILED", getattr(error, "code", ""), getattr(error, "message", str(error)))
            end = end if end.code in CODES else End("FAILED", "INVALID_ARGUMENT", end.message)
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            text = f"the offline cloud failed: {type(error).__name__}: {error} "
            end = End("FAILED", "INTERNAL", f"{text}({Path(where.filename).name}, line {where.lineno})")
        finally:
            self._over.set()
            self._close()
            self._collect()
            with contextlib.suppress(OSError):
                remove(self._folder)
        if self._stop.is_set():
            closed = End("FAILED", "INTERNAL", _LOST)
            end = (
                closed if self._killed.is_set() else End("CANCELLED", "CANCELLED", "BatchPredictionJob was cancelled.")
            )
        self._finish(end)

    def _live(self) -> End:
        rule = self._fault(FaultKind.NO_CAPACITY)
        if rule is not None:
            self._pause(rule.lasts)
            region = self.record.name.location
            text = f"Resources are insufficient in region: {region}. Please try a different region."
            return End("FAILED", "RESOURCE_EXHAUSTED", text)
        self._pause(_PENDING)
        found = list(instances(self.site, self._objects(), self._request.instance_config))
        with self.site.store.lock:
            if not self._stop.is_set():
                self._enter("RUNNING")
            stamp(self.record.message.start_time, self.site.clock.now())
        threading.Thread(target=self._attend, name=f"batch-logs-{self.record.name.id}", daemon=True).start()
        return self._predicted(found) if self._started() else End("CANCELLED")

    def _objects(self) -> list[Any]:
        return objects(self.site, list(self._request.input_config.gcs_source.uris))

    def _started(self) -> bool:
        """Have the replicas come up; False where the job is told to stop meanwhile. Raises FleetFailed."""
        health = Health(self._served.timeout, memory=self._size.memory, path=self._served.health_route)
        draw = random.Random(f"{self.site.faults.seed}/{self._request.display_name}")
        fleet = Fleet("batch", self._served.blueprint(self._folder, health), self.site.clock, draw)
        self._fleet = fleet
        fleet.prepare()
        fleet.scale(self._request.dedicated_resources.starting_replica_count)
        try:
            return fleet.wait(stop=self._stop.is_set)
        except FleetFailed as error:
            text = "Model server never became ready. Please validate that your model file or container configuration "
            raise FleetFailed(f"{text}are valid. ({error})") from error

    def _predicted(self, found: list[Instance]) -> End:
        size = self._request.manual_batch_tuning_parameters.batch_size
        good = [one for one in found if not one.problem]
        batches = [good[start : start + size] for start in range(0, len(good), size)]
        prefix = self._request.output_config.gcs_destination.output_uri_prefix
        folder = directory(prefix, self._model.message.display_name, self.record.created)
        output = Output(self.site, folder, len(batches))
        self._left = len(good)
        for one in found:
            if one.problem:
                self._count(output, [], 1, one.problem)
        with self.site.store.lock:
            self.record.message.output_info.gcs_output_directory = folder
            self._tell_progress()
        replicas = self._request.dedicated_resources.starting_replica_count
        with ThreadPoolExecutor(_AT_ONCE * replicas, thread_name_prefix="batch") as pool:
            list(pool.map(lambda item: self._batch(output, *item), enumerate(batches)))
        return End("CANCELLED") if self._stop.is_set() else self._written(output)

    def _written(self, output: Output) -> End:
        if self._fault(FaultKind.PARTIAL_UPLOAD) is not None:
            output.write(part=True)
            return End("FAILED", "INTERNAL", "Internal error occurred. Please retry in a few minutes.")
        output.write()
        with self.site.store.lock:
            for text in output.errors[:_PARTIAL]:
                self.record.message.partial_failures.add(code=CODES["INVALID_ARGUMENT"][1], message=text[:_MESSAGE])
        if not self._bad:
            return End("SUCCEEDED")
        if self._good:
            return End("PARTIALLY_SUCCEEDED")
        return End("FAILED", "INVALID_ARGUMENT", f"All instances have failed. {output.errors[0]}"[:_MESSAGE])

    def _batch(self, output: Output, number: int, batch: list[Instance]) -> None:
        """Have some instances predicted, by one request."""
        if self._stop.is_set():
            return
        asked: dict[str, Any] = {"instances": [one.sent for one in batch]}
        if self._request.HasField("model_parameters"):
            asked["parameters"] = json_format.MessageToDict(self._request.model_parameters)
        found, problem = self._answered(json.dumps(asked).encode(), len(batch))
        if self._stop.is_set():
            return
        with self._lock:
            for one, prediction in zip(batch, found, strict=False):
                output.predicted(number, one.shown, prediction)
            self._count(output, found, 0 if found else len(batch), problem, len(batch))
        with self.site.store.lock:
            self._tell_progress()

    def _answered(self, body: bytes, count: int) -> tuple[list[Any], str]:
        """The predictions; or none, and why."""
        begun, retries = time.monotonic(), 0
        status, data = self._once(body)
        while status >= 500 and retries < _RETRIES and not self._stop.is_set():
            retries += 1
            status, data = self._once(body)
        if 200 <= status < 300:
            return _predictions(data, count)
        told = data.decode("utf-8", "replace")[:_MESSAGE]
        told = f"Non-OK result {status} ({told}) from server, retry={retries}, elapsed={time.monotonic() - begun:.2f}s."
        return [], f"Post request fails. Cannot get predictions. Error: Exceeded retries: {told}"

    def _once(self, body: bytes) -> tuple[int, bytes]:
        assert self._fleet is not None
        headers = {"Content-Type": "application/json", "Accept": "*/*"}
        try:
            with exchange(self._fleet, self._served.predict_route, body, headers, TIMEOUT) as answer:
                return answer.status, answer.read()
        except ServiceError as error:
            return error.status, error.message.encode()
        except (http.client.HTTPException, OSError) as error:
            return 503, str(error).encode()

    def _count(self, output: Output, found: list[Any], failed: int, problem: str, done: int = 0) -> None:
        self._good += len(found)
        self._bad += failed
        self._left -= done
        if failed:
            output.failed(problem, failed)

    def _tell_progress(self) -> None:
        stats = self.record.message.completion_stats
        stats.successful_count, stats.failed_count, stats.incomplete_count = self._good, self._bad, self._left
        self.site.store.touch(self.record)

    def _finish(self, end: End) -> None:
        with self.site.store.lock:
            message, now = self.record.message, self.site.clock.now()
            if end.code:
                message.error.code, message.error.message = CODES[end.code][1], end.message[:_MESSAGE]
            if self._fault(FaultKind.UNKNOWN_STATE) is not None:
                message.state = 99
                self.site.store.touch(self.record)
            else:
                self._enter(end.state)
            stamp(message.end_time, now)
            if message.HasField("start_time"):
                hours = (now - message.start_time.ToMicroseconds() / 1e6) / 3600
                message.resources_consumed.replica_hours = hours * message.dedicated_resources.starting_replica_count
            self.record.live = None

    def _enter(self, name: str) -> None:
        self.record.message.state = state(f"JOB_STATE_{name}")
        self.site.store.touch(self.record)

    def _close(self) -> None:
        if self._fleet is not None:
            self._fleet.close(drain=False)

    def _pause(self, seconds: float) -> None:
        self.site.clock.wait(seconds, self._stop.is_set)

    def _fault(self, kind: FaultKind) -> Any:
        return self.site.faults.take({kind}, subjects.BATCH_JOB, self._request.display_name)

    # Logs

    def _attend(self) -> None:
        """Bring the logs away while the job runs."""
        while not self._over.wait(_LOOK):
            self._collect()

    def _collect(self) -> None:
        with self._lock:
            for replica in list(self._fleet.made) if self._fleet is not None else ():
                tail = self._tails.setdefault(replica.id, LogTail(replica.log))
                lines = [(moment, "INFO", text) for moment, text in tail.lines() if not text.startswith(_MARK)]
                if lines and not self._request.disable_container_logging:
                    self._deliver(replica.id, lines)

    def _deliver(self, replica: str, lines: list[tuple[float, str, str]]) -> None:
        name = self.record.name
        project = self.site.projects.id(name.project) or name.project
        labels = {"job_id": name.id, "task_name": "batch-prediction", "project_id": project}
        about = {"compute.googleapis.com/resource_name": replica}
        self.site.entries.add(project, f"ml.googleapis.com/{name.id}", "ml_job", labels, lines, about)


def _predictions(data: bytes, count: int) -> tuple[list[Any], str]:
    """The predictions in an answer; or none, and why."""
    try:
        found = json.loads(data)["predictions"]
    except (ValueError, KeyError, TypeError):
        found = None
    if not isinstance(found, list):
        return [], f"The model server's answer has no list of predictions; it begins with {data[:200]!r}."
    if len(found) != count:
        return [], f"The model server has answered {len(found)} predictions to {count} instances."
    return found, ""
