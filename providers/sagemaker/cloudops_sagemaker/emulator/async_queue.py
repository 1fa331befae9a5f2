"""Asynchronous inference: requests wait in a queue, their payloads and results lie in S3."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import aws
from .variant_metrics import INVOCATIONS, add

if TYPE_CHECKING:
    from .hosted import Hosted

#: Seconds that a request may take, as the service has it.
LONGEST = 3600.0
_CONCURRENT = 4
_TTL = 21600.0
#: Real seconds between looks for an instance.
_LOOK = 0.2


@dataclass(frozen=True)
class Waiting:
    """A request; ``expires`` is of the offline clock, ``key`` encrypts what is written (empty: none)."""

    id: str
    location: str
    headers: Mapping[str, str]
    output: str
    failure: str
    expires: float
    timeout: float
    key: str


class Queue:
    """The requests of an asynchronous endpoint."""

    def __init__(self, hosted: Hosted) -> None:
        self._hosted = hosted
        self._changed = threading.Condition()
        self._waiting: deque[Waiting] = deque()
        self._working = 0
        self._threads = 0

    @property
    def backlog(self) -> int:
        """How many wait or are worked on."""
        with self._changed:
            return len(self._waiting) + self._working

    def put(
        self, location: str, headers: Mapping[str, str], config: Mapping[str, Any], options: Mapping[str, str]
    ) -> Waiting:
        """Have the object at ``location`` answered; ``options`` are the headers of the request."""
        name = options.get("inference-id") or str(uuid.uuid4())
        output, extension = config["OutputConfig"], options.get("s3outputpathextension", "").strip("/")
        stem = options.get("filename") or name
        middle = f"/{extension}/" if extension else "/"
        failure = output.get("S3FailurePath", "")
        waiting = Waiting(
            name,
            location,
            headers,
            f"{output.get('S3OutputPath', '').rstrip('/')}{middle}{stem}.out",
            f"{failure.rstrip('/')}{middle}{stem}-error.out" if failure else "",
            self._hosted.region.clock.now() + float(options.get("requestttlseconds") or _TTL),
            float(options.get("invocationtimeoutseconds") or LONGEST),
            output.get("KmsKeyId", ""),
        )
        concurrent = config.get("ClientConfig", {}).get("MaxConcurrentInvocationsPerInstance", _CONCURRENT)
        with self._changed:
            self._waiting.append(waiting)
            self._changed.notify()
            if self._threads < min(len(self._waiting) + self._working, 16):
                self._threads += 1
                threading.Thread(target=self._work, args=(concurrent,), daemon=True).start()
        return waiting

    def measure(self) -> None:
        """Tell CloudWatch how long the queue is."""
        hosted = self._hosted
        if hosted.blue is None or "AsyncInferenceConfig" not in hosted.blue.config:
            return
        backlog, instances = self.backlog, sum(fleet.ready() for fleet in hosted.blue.fleets())
        values = {"ApproximateBacklogSize": (float(backlog), "Count")}
        values["HasBacklogWithoutCapacity"] = (float(backlog > 0 and not instances), "Count")
        # Without instances the service divides by one.
        values["ApproximateBacklogSizePerInstance"] = (backlog / max(instances, 1), "Count")
        add(hosted.region, INVOCATIONS, {"EndpointName": hosted.name}, values)

    def _work(self, concurrent: int) -> None:
        while True:
            with self._changed:
                while self._waiting and not self._room(concurrent) and not self._hosted.stopped():
                    self._changed.wait(_LOOK)
                if not self._waiting or self._hosted.stopped():
                    self._threads -= 1
                    return
                waiting = self._waiting.popleft()
                self._working += 1
            try:
                self._answer(waiting)
            finally:
                with self._changed:
                    self._working -= 1
                    self._changed.notify()

    def _room(self, concurrent: int) -> bool:
        side = self._hosted.blue
        ready = sum(fleet.ready() for fleet in side.fleets()) if side else 0
        return self._working < ready * concurrent

    def _answer(self, waiting: Waiting) -> None:
        from .invocation import answer as ask

        region = self._hosted.region
        try:
            if region.clock.now() > waiting.expires:
                raise ValueError("the request has expired: its RequestTTLSeconds are over")
            body = aws.read(region, waiting.location)
            answer = ask(self._hosted, body, waiting.headers, timeout=waiting.timeout, queued=True)
            aws.write(region, waiting.output, answer.body, waiting.key)
        except Exception as error:
            if waiting.failure:
                text = getattr(error, "message", str(error))
                try:
                    aws.write(region, waiting.failure, text.encode(), waiting.key)
                except FileNotFoundError:
                    return  # the bucket is gone: there is nobody to tell
