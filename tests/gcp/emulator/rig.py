"""The emulated cloud without a proxy: requests go to its WSGI application as the proxy would hand them over."""

from __future__ import annotations

import io
import json
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cloudops_vertex.emulator.app import Application
from cloudops_vertex.emulator.protocol import pool, requests
from cloudops_vertex.emulator.protocol.parsing import parse
from cloudops_vertex.emulator.site import Site

from cloudops.offline.clock import Clock
from cloudops.offline.emulator import Surroundings
from cloudops.offline.faults import Faults

PROJECT, REGION = "example-project", "us-central1"
PARENT = f"projects/{PROJECT}/locations/{REGION}"
HOST = f"{REGION}-aiplatform.googleapis.com"
#: One of Google's own images: this interpreter stands for it.
IMAGE = "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-6:latest"
SERVING = "us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-5:latest"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    data: bytes
    trailers: Mapping[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.data)


class Cloud:
    """An emulated cloud; ``principal`` is whose requests are."""

    def __init__(self, folder: Path, *, images: Mapping[str, str] | None = None, literal: bool | None = None) -> None:
        self.faults = Faults()
        self.clock = Clock()
        surroundings = Surroundings(folder, self.clock, self.faults, {}, images or {})
        self.site = Site(surroundings, literal=literal)
        self.principal: str | None = "tester@example.com"
        self.app = Application(self.site, lambda environ: self.principal)

    def close(self) -> None:
        self.site.end()
        self.site.buckets.close()

    def send(
        self,
        verb: str,
        url: str,
        data: bytes = b"",
        *,
        host: str = HOST,
        kind: str = "application/json",
        authorization: str = "",
    ) -> Answer:
        path, _, query = url.partition("?")
        trailers: dict[str, str] = {}
        environ: dict[str, Any] = {
            "REQUEST_METHOD": verb,
            "PATH_INFO": unquote(path),
            "RAW_URI": url,
            "QUERY_STRING": query,
            "HTTP_HOST": host,
            "CONTENT_TYPE": kind,
            "HTTP_AUTHORIZATION": authorization,
            "CONTENT_LENGTH": str(len(data)),
            "wsgi.url_scheme": "https",
            "wsgi.input": io.BytesIO(data),
            "cloudops.trailers": trailers.update,
        }
        told: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            told[:] = [status, headers]
            return lambda piece: None

        body = b"".join(self.app(environ, start))
        return Answer(int(told[0].split()[0]), dict(told[1]), body, trailers)

    def rest(self, verb: str, path: str, body: Any = None, *, version: str = "v1", host: str = HOST) -> Any:
        """What a call over REST answers. Raises AssertionError: an error."""
        answer = self.try_rest(verb, path, body, version=version, host=host)
        assert answer.status == 200, answer.data.decode()
        return answer.json

    def try_rest(self, verb: str, path: str, body: Any = None, *, version: str = "v1", host: str = HOST) -> Answer:
        data = b"" if body is None else json.dumps(body).encode()
        return self.send(verb, f"/{version}/{path}", data, host=host)

    def grpc(self, method: str, request: Any) -> tuple[int, str, Any]:
        """The status' number, its text, and the answer as JSON (None for an error)."""
        found = pool.method(method)
        message = pool.class_of(found.input_type)()
        parse(request, message)
        data = message.SerializeToString()
        framed = struct.pack(">BI", 0, len(data)) + data
        service, _, name = method.rpartition(".")
        answer = self.send("POST", f"/{service}/{name}", framed, kind="application/grpc")
        status = int(answer.trailers["grpc-status"])
        if status:
            return status, unquote(answer.trailers["grpc-message"]), None
        made = pool.class_of(found.output_type)()
        made.ParseFromString(answer.data[5:])
        return 0, "", requests.write(made)

    def done(self, operation: Any, *, version: str = "v1") -> Any:
        """An operation once it is done."""
        return self.until(
            lambda: self.rest("GET", operation["name"], version=version), lambda found: bool(found.get("done"))
        )

    def response(self, operation: Any) -> Any:
        """The response of an operation that goes well."""
        found = self.done(operation)
        assert "error" not in found, found["error"]
        return found["response"]

    def until(self, ask: Callable[[], Any], good: Callable[[Any], bool], seconds: float = 60.0) -> Any:
        deadline = time.monotonic() + seconds
        while not good(found := ask()):
            assert time.monotonic() < deadline, found
            time.sleep(0.02)
        return found

    def job(self, name: str) -> Any:
        """A job once it has ended."""
        ended = ("JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED")
        return self.until(lambda: self.rest("GET", name), lambda found: found["state"] in ended)

    def log(self, resource: str, **labels: str) -> list[str]:
        """The texts of the log of a resource."""
        clauses = [
            f'resource.type="{resource}"',
            *(f'resource.labels.{key}="{value}"' for key, value in labels.items()),
        ]
        body = {"resourceNames": [f"projects/{PROJECT}"], "filter": " AND ".join(clauses), "pageSize": 1000}
        found = self.rest("POST", "entries:list", body, version="v2", host="logging.googleapis.com")
        entries = found.get("entries", [])
        return [one.get("textPayload") or one.get("jsonPayload", {}).get("message", "") for one in entries]
