"""An emulator of a small cloud: things with a state, files, echoes, and jobs that really run."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from cloudops.engine import job
from cloudops.engine.files import read_json, write_json
from cloudops.engine.folders import remove
from cloudops.offline.emulator import Emulator, Environment, Resource, Surroundings
from cloudops.offline.faults import RUNNING, FaultKind

START = 60.0


class FakeCloud(Emulator):
    """``api.fake.test``: ``PUT /things/NAME`` makes one, which is ready after a minute of the offline clock."""

    name = "fake"
    hosts = ("*.fake.test",)

    @classmethod
    def environment(cls, folder: Path) -> Environment:
        (folder / "profile").write_text("empty\n")
        return Environment({"FAKE_KEY": "throw-away", "FAKE_PROFILE": str(folder / "profile")}, ("FAKE_REAL_KEY",))

    @classmethod
    def subjects(cls, kind: FaultKind, service: str) -> Collection[str] | None:
        calls = {"fake:PutThings", "fake:GetThings", "fake:GetEcho", "fake:PostJobs"}
        return calls if kind not in RUNNING and service in ("fake", "*", "f*") else ()

    def __init__(self, surroundings: Surroundings) -> None:
        self.given = surroundings
        self._lock = threading.Lock()
        self._calls: list[Mapping[str, Any]] = []
        self._kept = surroundings.folder / "things.json"
        self._things: dict[str, float] = (read_json(self._kept) if surroundings.keep else None) or {}
        self._jobs: list[Path] = []

    @property
    def application(self) -> Any:
        return self._answer

    def operation(self, environ: Any) -> tuple[str, str]:
        kind, _, name = environ["PATH_INFO"].strip("/").partition("/")
        return f"fake:{environ['REQUEST_METHOD'].title()}{kind.title()}", name

    def refuse(self, kind: FaultKind, environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("400 Bad Request", [("Content-Type", "application/json")])
        return [json.dumps({"code": f"Fake{kind.title()}"}).encode()]

    def resources(self) -> list[Resource]:
        with self._lock:
            made = [Resource("thing", name, self._state(at), at, "north") for name, at in self._things.items()]
            return made + [Resource("job", path.name, job.read(path).phase) for path in self._jobs]

    def calls(self) -> list[Mapping[str, Any]]:
        return list(self._calls)

    def reset(self) -> None:
        self._end_jobs()
        with self._lock:
            self._things.clear()
            self._calls.clear()

    def close(self) -> None:
        self._end_jobs()
        if self.given.keep:
            write_json(self._kept, self._things)

    def _state(self, at: float) -> str:
        return "ready" if self.given.clock.now() >= at + START else "starting"

    def _end_jobs(self) -> None:
        for path in self._jobs:
            job.cancel(path, wait=10)
            remove(path)
        self._jobs.clear()

    def _answer(self, environ: Any, start: Any) -> Iterable[bytes]:
        operation, resource = self.operation(environ)
        self._calls.append({"operation": operation, "resource": resource, "principal": "caller", "status": 200})
        kind, _, name = environ["PATH_INFO"].strip("/").partition("/")
        headers = [("Content-Type", "application/json")]
        if kind == "fail":
            raise RuntimeError("a bug\nof the fake")
        if kind == "ignored":
            start("200 OK", headers)
            return [b"{}"]
        if kind == "pieces":
            start("200 OK", headers)
            return (b"%d," % number for number in range(int(name)))
        body = environ["wsgi.input"].read()
        if kind == "upload":
            value: Any = {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
        elif kind == "things":
            value = self._thing(environ["REQUEST_METHOD"], name)
        elif kind == "jobs":
            value = {"folder": str(self._run(name, json.loads(body)))}
        else:
            names = ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "RAW_URI", "HTTP_HOST", "wsgi.url_scheme")
            value = {name: environ[name] for name in names} | {"body": body.decode("latin-1")}
        start("200 OK", headers)
        return [json.dumps(value).encode()]

    def _thing(self, method: str, name: str) -> Any:
        with self._lock:
            if method == "PUT":
                self._things[name] = self.given.clock.now()
            if method == "DELETE":
                self._things.pop(name, None)
            return {one: self._state(at) for one, at in self._things.items()}

    def _run(self, name: str, code: str) -> Path:
        folder = self.given.folder / "jobs" / name
        spec = job.JobSpec((sys.executable, "-c", code), str(folder / "work"), env=dict(self.given.network))
        job.start(folder, spec)
        self._jobs.append(folder)
        return folder


class Broken(FakeCloud):
    """``api.broken.test`` cannot be started."""

    name = "broken"
    hosts = ("api.broken.test",)

    def __init__(self, surroundings: Surroundings) -> None:
        raise RuntimeError("no luck\ntoday")
