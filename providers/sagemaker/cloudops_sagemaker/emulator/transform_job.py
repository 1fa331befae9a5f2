"""The life of a batch transform: instances of the model, every object sent to them, answers assembled in S3."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

from cloudops.offline.faults import FaultKind
from cloudops.offline.machines.fleets import Fleet, FleetFailed
from cloudops.offline.machines.replicas import Health, Unreachable
from cloudops.offline.machines.tails import LogTail

from . import aws, effects, models
from .exchange import TimedOut, exchange
from .hosting import clear
from .instances import check_instance
from .operations import ServiceError
from .serving import Served
from .sinks import log_stream
from .subjects import TRANSFORM_JOB
from .transform_data import DataError, Source, content, payloads, sources

if TYPE_CHECKING:
    from .region import Record, Region

KIND = "transform-job"
LOG_GROUP = "/aws/sagemaker/TransformJobs"
_STARTUP = 480.0
_TIMEOUT, _RETRIES = 600, 3
_MB = 1 << 20
_NO_CAPACITY = (
    "CapacityError: Unable to provision requested ML compute capacity. Please retry using a different ML instance type."
)


class TransformJob:
    """What drives the job of ``record`` with ``model``."""

    def __init__(self, region: Region, record: Record, model: Record) -> None:
        self._region, self._record, self._model = region, record, model
        self._request = dict(record.described)
        self._stopped = threading.Event()
        self._fleet: Fleet | None = None
        self._tails: dict[str, LogTail] = {}
        self._log_lock = threading.Lock()

    def stop(self) -> None:
        """Have it end soon: requests that are under way are broken off."""
        threading.Thread(target=self.end, daemon=True).start()

    def end(self) -> None:
        """End everything at once."""
        self._stopped.set()
        if self._fleet is not None:
            self._fleet.close(drain=False)

    def run(self) -> None:
        """All of it, from ``InProgress`` to its last state."""
        failure = ""
        try:
            self._run()
        except (DataError, FleetFailed, ServiceError) as error:
            failure = getattr(error, "message", str(error))
        except Exception as error:  # a mistake of ours must not leave a job that never ends
            failure = f"InternalServerError: the offline cloud failed: {type(error).__name__}: {error}"
        finally:
            if self._fleet is not None:
                self._fleet.close(drain=False)
                self._collect()
                clear(self._fleet.blueprint.folder)
        status = "Stopped" if self._stopped.is_set() else "Failed" if failure else "Completed"
        self._finish(status, failure if status == "Failed" else "")

    def _finish(self, status: str, failure: str) -> None:
        with self._region.lock:
            now = self._region.clock.now()
            described = self._record.described
            described |= {"TransformJobStatus": status, "TransformEndTime": now, "LastModifiedTime": now}
            if failure:
                described["FailureReason"] = failure
            self._record.live = None

    def _run(self) -> None:
        region, request = self._region, self._request
        if region.faults.take([FaultKind.NO_CAPACITY], TRANSFORM_JOB, self._record.name):
            raise FleetFailed(_NO_CAPACITY)
        found = sources(region, request["TransformInput"]["DataSource"]["S3DataSource"])
        with region.lock:
            self._record.described["TransformStartTime"] = region.clock.now()
        self._fleet = fleet = self._made()
        fleet.prepare()
        fleet.scale(request["TransformResources"]["InstanceCount"])
        try:
            ready = fleet.wait(stop=self._stopped.is_set)
        except FleetFailed:
            raise FleetFailed(
                "AlgorithmError: The primary container did not pass the ping health check. Please check CloudWatch "
                "logs for this job."
            ) from None
        if ready:
            self._transform(fleet, found)

    def _made(self) -> Fleet:
        region, described = self._region, self._model.described
        env = {**self._request.get("Environment", {}), "SAGEMAKER_BATCH": "true"}
        container = models.container_of(self._model)
        size = check_instance(self._request["TransformResources"]["InstanceType"], 0, "transform job")
        served = Served(region, self._record.name, container, described["ExecutionRoleArn"], env, size.cores)
        served = replace(
            served, unused=effects.of_transform(self._request, described), isolated=effects.isolates({}, described)
        )
        slow = region.faults.take([FaultKind.SLOW_START], TRANSFORM_JOB, self._record.name)
        unhealthy = region.faults.take([FaultKind.UNHEALTHY], TRANSFORM_JOB, self._record.name)
        health = Health(_STARTUP, slow.lasts if slow else 0.0, unhealthy is not None, size.memory)
        folder = region.folder / "transforms" / self._record.name
        draw = random.Random(region.faults.seed)
        return Fleet("transform", served.blueprint(folder, health), region.clock, draw)

    def _transform(self, fleet: Fleet, found: list[Source]) -> None:
        request = self._request
        at_once = max(request["MaxConcurrentTransforms"], 1) * request["TransformResources"]["InstanceCount"]
        self._log(
            f"MaxConcurrentTransforms={max(request['MaxConcurrentTransforms'], 1)}, "
            f"MaxPayloadInMB={request['MaxPayloadInMB']}, BatchStrategy={request.get('BatchStrategy', 'None')}"
        )
        partial = self._region.faults.take([FaultKind.PARTIAL_UPLOAD], TRANSFORM_JOB, self._record.name) is not None
        with ThreadPoolExecutor(at_once) as pool:
            for source in found[: len(found) // 2] if partial else found:
                if self._stopped.is_set():
                    return
                self._object(fleet, pool, source)
                self._collect()
        if partial:
            raise DataError(
                "InternalServerError: We encountered an internal error. Please try again. (the offline cloud was told "
                "to upload in part)"
            )

    def _object(self, fleet: Fleet, pool: ThreadPoolExecutor, source: Source) -> None:
        request = self._request
        given, output = request["TransformInput"], request["TransformOutput"]
        data = content(self._region, source, given["CompressionType"])
        limit = request["MaxPayloadInMB"] * _MB
        parts = payloads(data, given["SplitType"], request.get("BatchStrategy", "MultiRecord"), limit)
        joint = b"\n" if output["AssembleWith"] == "Line" else b""
        answers = b"".join(answer + joint for answer in self._answers(fleet, pool, source, parts))
        if self._stopped.is_set():
            return
        try:
            uri = f"{output['S3OutputPath'].rstrip('/')}/{source.name}.out"
            aws.write(self._region, uri, answers, output.get("KmsKeyId"))
        except FileNotFoundError as error:
            raise DataError(f"ClientError: the output cannot be written: {error}") from error

    def _answers(
        self, fleet: Fleet, pool: ThreadPoolExecutor, source: Source, parts: Iterator[bytes]
    ) -> Iterator[bytes]:
        futures = [pool.submit(self._ask, fleet, part, source) for part in parts]
        try:
            for future in futures:
                yield future.result()
        finally:
            for future in futures:
                future.cancel()

    def _ask(self, fleet: Fleet, body: bytes, source: Source) -> bytes:
        if self._stopped.is_set():
            return b""
        client = self._request.get("ModelClientConfig", {})
        retries = client.get("InvocationsMaxRetries", _RETRIES)
        timeout = client.get("InvocationsTimeoutInSeconds", _TIMEOUT)
        headers = {"Content-Type": self._request["TransformInput"].get("ContentType", "application/octet-stream")}
        if "Accept" in self._request["TransformOutput"]:
            headers["Accept"] = self._request["TransformOutput"]["Accept"]
        for attempt in range(retries + 1):
            status, answer = self._once(fleet, body, headers, timeout)
            if 200 <= status < 300:
                return answer
            if 400 <= status < 500 or attempt == retries or self._stopped.is_set():
                break
        self._log(f"{source.uri.removeprefix('s3://')}: Fail to get the response ({status})")
        self._log(f"{source.uri.removeprefix('s3://')}: Message: {answer[:1024].decode('utf-8', 'replace')}")
        kind = "ClientError" if 400 <= status < 500 else "AlgorithmError"
        raise DataError(f"{kind}: See job logs for more information")

    def _once(self, fleet: Fleet, body: bytes, headers: dict[str, str], timeout: float) -> tuple[int, bytes]:
        try:
            with exchange(fleet, body, headers, timeout=timeout) as seen:
                return seen.answer.status, seen.answer.read()
        except TimedOut:
            return 504, b"the model did not answer in time"
        except (Unreachable, http.client.HTTPException, ServiceError) as error:
            return 503, str(error).encode()

    def _log(self, text: str) -> None:
        line = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())}:[sagemaker logs]: {text}"
        with self._log_lock:
            log_stream(self._region, LOG_GROUP, f"{self._record.name}/data-log").deliver([(time.time(), line)])

    def _collect(self) -> None:
        """Bring what the containers have written to CloudWatch Logs."""
        assert self._fleet is not None
        for replica in self._fleet.made:
            tail = self._tails.setdefault(replica.id, LogTail(replica.log))
            lines = [(moment, text) for moment, text in tail.lines() if not text.startswith("[cloudops] ")]
            if lines:
                log_stream(self._region, LOG_GROUP, f"{self._record.name}/{replica.id}").deliver(lines)
