"""One instance of a variant: its container's process, kept alive and asked for its health by a thread of its own."""

from __future__ import annotations

import contextlib
import http.client
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cloudops.engine.limits import tree_memory
from cloudops.engine.process import descendants
from cloudops.engine.service_shim import Task, describe, last_words

from .replica_process import end_process, free_port, spawn

if TYPE_CHECKING:
    from cloudops.offline.clock import Clock

_PING_PERIOD = 5.0
_STARTING_PERIOD = 0.1
#: Seconds between looks at its memory, which cost some milliseconds.
_WEIGHING_PERIOD = 0.5
#: Pings in a row that fail before an instance is replaced.
_PING_FAILURES = 3
#: Seconds between SIGTERM and SIGKILL.
GRACE = 30.0
#: Starts that end in a crash before an instance that was never ready is given up; the service goes on until the
#: health check's timeout, with the same outcome.
_CRASHES = 3
#: Real seconds that a process which runs but does not answer gets in any case: a slow machine is no slow model, and
#: the offline clock may have been moved on.
_PATIENCE = 20.0
_AGAIN = (ConnectionError, http.client.BadStatusLine, http.client.CannotSendRequest)


@dataclass(frozen=True)
class Health:
    """When an instance counts as ready, or as failed.

    Args:
        timeout: seconds of the offline clock for a start.
        slow: seconds of the offline clock before which it is not ready (a fault).
        unhealthy: whether its health checks fail whatever it answers (a fault).
        memory: bytes that its processes may take; None: no limit.
        struck: whether the health check fails that would now have succeeded (a fault); asked at each.
        path: of the health check.
        patience: seconds that its answer may take.
    """

    timeout: float
    slow: float = 0.0
    unhealthy: bool = False
    memory: int | None = None
    struck: Callable[[], bool] = lambda: False
    path: str = "/ping"
    patience: float = 2.0


class Unreachable(Exception):
    """The container could not be reached; it has not answered anything."""


class Replica:
    """An instance; ``phase`` is ``starting``, ``ready``, ``failed`` or ``ended``.

    Args:
        folder: its own; ``start`` fills it.
        start: makes the folder and says what to run on a given port; called again for every start.
        health: when it is ready.
        clock: the offline clock.
        changed: called without locks after ``phase`` has changed.
    """

    def __init__(
        self,
        folder: Path,
        start: Callable[[Path, int], Task],
        health: Health,
        clock: Clock,
        changed: Callable[[], None],
    ) -> None:
        self.id = f"i-0{secrets.token_hex(8)}"
        self.folder = folder / self.id
        self.log = self.folder / "container.log"
        self.phase = "starting"
        self.reason = ""
        self.open = 0
        self.setup_time = 0.0
        self.used = clock.now()
        self._start, self._health, self._clock, self._changed = start, health, clock, changed
        self._stop = threading.Event()
        self._gone = threading.Event()
        self._doubted = threading.Event()
        self._shim: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._idle: list[http.client.HTTPConnection] = []
        # The kernel ends the process with the thread that started it, so this one lives as long.
        self._thread = threading.Thread(target=self._keep, name=f"replica-{self.id}", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """The process above the container's."""
        return self._shim.pid if self._shim else None

    def doubt(self) -> None:
        """It has not answered: no request goes there until it was asked for its health."""
        if self.phase == "ready":
            self._doubted.set()
            self._set("starting", "it hung up")

    def end(self, *, wait: bool = False) -> None:
        """Ask it to end: SIGTERM, SIGKILL after 30 s; with ``wait`` return when it is gone."""
        self._stop.set()
        if wait:
            self._gone.wait(GRACE + 10)

    def kill(self) -> None:
        """End it at once."""
        self._stop.set()
        shim = self._shim
        if shim is not None:
            end_process(shim, 0)
        self._gone.wait(10)

    @contextlib.contextmanager
    def exchange(
        self, method: str, path: str, body: bytes, headers: dict[str, str], timeout: float
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request and give the answer, whose body is still to be read.

        Raises:
            Unreachable: nothing listens there, or it hung up before it answered.
            TimeoutError: there was no answer in time.
        """
        connection, fresh = (self._idle.pop(), False) if self._idle else (self._connect(timeout), True)
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        try:
            try:
                answer = _ask(connection, method, path, body, headers)
            except _AGAIN as error:
                # A connection that was idle may have been closed meanwhile: that says nothing about the container.
                connection.close()
                if fresh:
                    raise Unreachable(str(error) or type(error).__name__) from error
                connection = self._connect(timeout)
                try:
                    answer = _ask(connection, method, path, body, headers)
                except _AGAIN as second:
                    raise Unreachable(str(second) or type(second).__name__) from second
            yield answer
            if answer.isclosed() and not answer.will_close:
                self._idle.append(connection)
                connection = None  # type: ignore[assignment]
        finally:
            if connection is not None:
                connection.close()

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=timeout)

    def _set(self, phase: str, reason: str = "") -> None:
        if (phase, reason) != (self.phase, self.reason):
            self.phase, self.reason = phase, reason
            self._changed()

    def _keep(self) -> None:
        try:
            crashes, established = 0, False
            begun = self._clock.now()
            while not self._stop.is_set():
                was_ready = self._live(self._clock.now() if established else begun)
                crashes = 0 if was_ready else crashes + 1
                # Once it was ready it is replaced for ever; before that only so often.
                established = established or was_ready
                if self._stop.is_set():
                    break
                if not established and (crashes >= _CRASHES or self._clock.now() - begun > self._health.timeout):
                    self._set("failed", self._words())
                    self._stop.wait()
                    break
                self._set("starting", self._words())
                self._stop.wait(min(0.2 * 2**crashes, 5.0))
        except Exception as error:  # the machine's fault or ours; the endpoint's log tells which
            self._tell(f"[offline] the instance could not be made: {type(error).__name__}: {error}")
            self._set("failed", str(error))
            self._stop.wait()
        finally:
            self._set("ended")
            self._gone.set()

    def _tell(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            with self.log.open("a", encoding="utf-8") as file:
                file.write(f"{time.time():.6f} {text}\n")

    def _words(self) -> str:
        how = describe(self._shim.returncode if self._shim else None)
        words = last_words(self.log)
        return f"{how}: {words}" if words else how

    def _live(self, begun: float) -> bool:
        """One life of the process; whether it was ready in it."""
        self._port = free_port()
        task = self._start(self.folder, self._port)
        self._shim = spawn(task, self.id)
        try:
            if not self._comes_up(begun):
                return False
            self._watch()
            return True
        finally:
            end_process(self._shim, GRACE)
            self._shim.wait()
            for connection in self._idle:
                connection.close()
            self._idle.clear()

    def _comes_up(self, begun: float) -> bool:
        real = time.monotonic()
        while not self._stop.wait(_STARTING_PERIOD):
            assert self._shim is not None
            if self._shim.poll() is not None:
                return False
            healthy = not self._health.unhealthy and self._ping()
            if healthy and self._health.struck():
                return self._is_struck()
            late = self._clock.now() - begun
            if healthy and late >= self._health.slow:
                self.setup_time = time.monotonic() - real
                self._set("ready")
                return True
            waited = self._health.unhealthy or healthy or time.monotonic() - real > _PATIENCE
            if late > self._health.timeout and waited:
                self._tell("[offline] the container did not answer its health checks in time")
                return False
        return False

    def _watch(self) -> None:
        failures, due, weighed = 0, time.monotonic() + _PING_PERIOD, 0.0
        while not self._stop.wait(_STARTING_PERIOD):
            assert self._shim is not None
            if self._shim.poll() is not None:
                return
            if time.monotonic() > weighed + _WEIGHING_PERIOD:
                weighed = time.monotonic()
                if self._too_large():
                    return
            if time.monotonic() < due and not self._doubted.is_set():
                continue
            self._doubted.clear()
            due = time.monotonic() + _PING_PERIOD
            if self._ping():
                if self._health.struck():
                    self._is_struck()
                    return
                failures = 0
                self._set("ready")
            elif not self.open:  # one that answers requests may be too busy for a ping
                failures += 1
            if failures >= _PING_FAILURES:
                return

    def _is_struck(self) -> bool:
        """Take it out of service, to be started anew; always False."""
        self._tell("[offline] its health checks fail, as the offline cloud was told to have them")
        self._set("starting", "its health checks fail")
        return False

    def _too_large(self) -> bool:
        limit, pid = self._health.memory, self.pid
        if limit is None or pid is None or (used := tree_memory(descendants(pid), limit)) <= limit:
            return False
        self._tell(f"[offline] out of memory: used {used >> 20} MB of {limit >> 20} MB; the container is started anew")
        return True

    def _ping(self) -> bool:
        try:
            with self.exchange("GET", self._health.path, b"", {}, self._health.patience) as answer:
                answer.read()
                return answer.status == 200
        except (Unreachable, OSError, http.client.HTTPException):
            return False


def _ask(
    connection: http.client.HTTPConnection, method: str, path: str, body: bytes, headers: dict[str, str]
) -> http.client.HTTPResponse:
    connection.request(method, path, body=body or None, headers=headers)
    return connection.getresponse()
