"""What the tests of endpoints share: an endpoint with processes, and clients that keep asking it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cloudops.engine import service
from cloudops.engine.service import Policy, ServiceState, VersionSpec
from cloudops.engine.service_find import Found, find

SERVER = Path(__file__).with_name("service_server.py")

#: The same clockwork as in production, only faster.
FAST = Policy(health_period=0.2, probe_timeout=2.0, backoff=0.1, drain=10.0, scale_up_after=0.5, scale_down_after=1.5)


def spec(name: str, *, env: Mapping[str, str] | None = None, **changes: Any) -> VersionSpec:
    base = VersionSpec(
        name, (sys.executable, str(SERVER)), env={"PATH": os.environ["PATH"], **(env or {})}, readiness_timeout=20.0
    )
    return replace(base, **changes)


def until(condition: Callable[[], Any], *, timeout: float = 20.0, what: str = "") -> Any:
    """The first true value of `condition`; fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not in {timeout} s: {what or condition}"
        time.sleep(0.02)
    return value


@dataclass
class Answer:
    """What became of one request that began at `began` (epoch seconds): `status` is 0 where there was no answer."""

    began: float
    status: int
    seconds: float
    version: str = ""
    value: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    error: str = ""


@dataclass
class Endpoint:
    """An endpoint in a directory of its own."""

    directory: Path

    def up(self, version: VersionSpec, *arguments: Any, timeout: float = 30.0, **more: Any) -> ServiceState:
        """Deploy and wait for the result."""
        more.setdefault("policy", FAST)
        return service.wait(
            self.directory, service.deploy(self.directory, version, *arguments, **more), timeout=timeout
        )

    @property
    def state(self) -> ServiceState:
        return service.read(self.directory)

    def processes(self) -> list[Found]:
        return find(Path(os.path.realpath(self.directory)))

    def kill(self, pid: int | None) -> None:
        assert pid is not None
        os.kill(pid, signal.SIGKILL)

    def ask(
        self,
        path: str = "/invocations",
        body: bytes | None = b"{}",
        *,
        method: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = 20.0,
    ) -> Answer:
        """One request over a connection of its own."""
        began, clock = time.time(), time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.state.port, timeout=timeout)
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body, dict(headers or {}))
            response = connection.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            return Answer(began, 0, time.perf_counter() - clock, error=repr(error))
        finally:
            connection.close()
        with contextlib.suppress(ValueError):
            data = json.loads(data)
        version = response.headers.get("x-cloudops-version", "")
        return Answer(began, response.status, time.perf_counter() - clock, version, data, response.headers)

    @contextlib.contextmanager
    def asked(self, threads: int = 2, **how: Any) -> Iterator[list[Answer]]:
        """Threads that ask one request after the other during the block; their answers."""
        answers: list[Answer] = []
        stop = threading.Event()

        def loop() -> None:
            while not stop.is_set():
                answers.append(self.ask(**how))

        workers = [threading.Thread(target=loop) for _ in range(threads)]
        for worker in workers:
            worker.start()
        try:
            until(lambda: len(answers) > 2 * threads, what="the clients get answers")
            yield answers
        finally:
            stop.set()
            for worker in workers:
                worker.join()


@contextlib.contextmanager
def endpoint(directory: Path) -> Iterator[Endpoint]:
    """An endpoint that is gone after the block, with all its processes."""
    one = Endpoint(directory)
    try:
        yield one
    finally:
        service.delete(directory, wait=20)
        assert one.processes() == []


def bad(answers: list[Answer]) -> list[Answer]:
    return [answer for answer in answers if answer.status != 200]
