"""A small Google Cloud in this process: buckets, secrets, logs and custom jobs, and a client that talks to it.

It answers as the services do as far as the provider uses them; the emulator of the provider is another thing, and what
runs there is tested there.
"""

from __future__ import annotations

import base64
import copy
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from cloudops_vertex.client import Client
from cloudops_vertex.errors import Answered, Refused
from cloudops_vertex.options import VertexTarget

PROJECT, NUMBER, LOCATION = "my-project", "123456789012", "us-central1"
BUCKET = f"{PROJECT}-vertex-staging-{LOCATION}"

Reply = tuple[int, dict[str, str], bytes]


@dataclass
class Google:
    """The state of the cloud."""

    buckets: dict[str, dict[str, tuple[bytes, int]]] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)
    secrets: dict[str, bytes] = field(default_factory=dict)
    entries: list[dict[str, Any]] = field(default_factory=list)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    series: dict[str, list[float]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    generation: int = 100
    lock: threading.RLock = field(default_factory=threading.RLock)

    def objects(self) -> dict[str, bytes]:
        """Every object by its address."""
        return {f"gs://{b}/{k}": body for b, found in self.buckets.items() for k, (body, _) in found.items()}

    def put(self, uri: str, body: bytes) -> None:
        bucket, _, key = uri.removeprefix("gs://").partition("/")
        self.generation += 1
        self.buckets.setdefault(bucket, {})[key] = (body, self.generation)

    def said(self, resource: str, text: str, replica: str = "workerpool0-0", *, second: float = 0.0) -> None:
        labels = {"job_id": resource.rpartition("/")[2], "task_name": replica, "project_id": PROJECT}
        self.entries.append(
            {
                "insertId": f"i{len(self.entries)}",
                "timestamp": f"2026-11-25T10:00:{second:09.6f}Z",
                "resource": {"type": "ml_job", "labels": labels},
                "jsonPayload": {"message": text},
            }
        )

    def answer(
        self, method: str, url: str, params: Mapping[str, str], body: bytes, headers: Mapping[str, str]
    ) -> Reply:
        with self.lock:
            parts = urlsplit(url)
            path, asked = parts.path, {**dict(parse_qsl(parts.query)), **params}
            if path.startswith("/computeMetadata"):
                return _json({"access_token": "t", "expires_in": 3600, "token_type": "Bearer"})
            for pattern, handler in _ROUTES:
                if match := re.fullmatch(pattern, path):
                    return handler(self, method, [unquote(each) for each in match.groups()], asked, body)
            return _error(404, f"no such path: {path}")


def _json(value: Any, status: int = 200) -> Reply:
    return status, {"Content-Type": "application/json"}, json.dumps(value).encode()


def _error(status: int, message: str, code: str = "") -> Reply:
    return _json({"error": {"code": status, "message": message, **({"status": code} if code else {})}}, status)


def _buckets(google: Google, method: str, names: list[str], asked: Mapping[str, str], body: bytes) -> Reply:
    if method == "GET":
        found = [name for name in google.buckets if name.startswith(asked["prefix"]) and name not in google.foreign]
        return _json({"items": [{"name": name} for name in found]})
    name = json.loads(body)["name"]
    if name in google.buckets:
        return _error(409, "Your previous request to create the named bucket succeeded and you already own it.")
    google.buckets[name] = {}
    return _json({"name": name})


def _bucket(google: Google, method: str, names: list[str], asked: Mapping[str, str], body: bytes) -> Reply:
    if names[0] not in google.buckets:
        return _error(404, "The specified bucket does not exist.")
    return _json({"name": names[0], "location": LOCATION.upper()})


def _listing(google: Google, method: str, names: list[str], asked: Mapping[str, str], body: bytes) -> Reply:
    if names[0] not in google.buckets:
        return _error(404, "The specified bucket does not exist.")
    prefix, size = asked.get("prefix", ""), 3  # small pages: so that there are several
    found = sorted(key for key in google.buckets[names[0]] if key.startswith(prefix))
    if asked.get("delimiter"):
        folders = {prefix + key[len(prefix) :].partition("/")[0] + "/" for key in found if "/" in key[len(prefix) :]}
        return _json({"prefixes": sorted(folders)})
    start = int(asked.get("pageToken", 0))
    page = [{"name": key, "size": str(len(google.buckets[names[0]][key][0]))} for key in found[start : start + size]]
    more = {"nextPageToken": str(start + size)} if start + size < len(found) else {}
    return _json({"items": page, **more})


def _upload(google: Google, method: str, names: list[str], asked: Mapping[str, str], body: bytes) -> Reply:
    bucket = google.buckets.get(names[0])
    if bucket is None:
        return _error(404, "The specified bucket does not exist.")
    wanted = asked.get("ifGenerationMatch")
    if wanted is not None and int(wanted) != bucket.get(asked["name"], (b"", 0))[1]:
        return _error(412, "At least one of the pre-conditions you specified did not hold.")
    google.generation += 1
    bucket[asked["name"]] = (body, google.generation)
    return _json({"name": asked["name"], "generation": str(google.generation)})


def _object(google: Google, method: str, names: list[str], asked: Mapping[str, str], body: bytes) -> Reply:
    bucket = google.buckets.get(names[0], {})
    if names[1] not in bucket:
        return _error(404, f"No such object: {names[0]}/{names[1]}")
    content, generation = bucket[names[1]]
    if method == "DELETE":
        if asked.get("ifGenerationMatch", str(generation)) != str(generation):
            return _error(412, "At least one of the pre-conditions you specified did not hold.")
        del bucket[names[1]]
        return 204, {}, b""
    if asked.get("alt") == "media":
        return 200, {"X-Goog-Generation": str(generation)}, content
    return _json({"name": names[1], "size": str(len(content)), "generation": str(generation)})


def _secrets(google: Google, method: str, names: list[str], asked: Mapping[str, str], body: bytes) -> Reply:
    if asked["secretId"] in google.secrets:
        return _error(409, "Secret already exists.", "ALREADY_EXISTS")
    google.secrets[asked["secretId"]] = b""
    return _json({"name": f"projects/{NUMBER}/secrets/{asked['secretId']}"})


def _secret(google: Google, method: str, names: list[str], asked: Mapping[str, str], body: bytes) -> Reply:
    name, _, verb = names[0].partition(":")
    name = name.removesuffix("/versions/latest")
    if name not in google.secrets:
        return _error(404, f"Secret [{name}] not found.", "NOT_FOUND")
    if verb == "addVersion":
        google.secrets[name] = base64.b64decode(json.loads(body)["payload"]["data"])
    elif verb == "access":
        return _json({"payload": {"data": base64.b64encode(google.secrets[name]).decode()}})
    else:
        del google.secrets[name]
    return _json({})


def _entries(google: Google, method: str, names: list[str], asked: Mapping[str, str], body: bytes) -> Reply:
    given = json.loads(body)
    wanted = dict(re.findall(r'([\w.]+)(?:=|>=|:)"([^"]*)"', given["filter"]))
    found = [
        entry
        for entry in google.entries
        if entry["resource"]["labels"]["job_id"] == wanted["resource.labels.job_id"]
        and wanted.get("jsonPayload.message", "") in entry["jsonPayload"]["message"]
    ]
    found.sort(key=lambda entry: entry["timestamp"], reverse=given["orderBy"].endswith("desc"))
    start = int(given.get("pageToken", 0))
    end = start + min(2, given["pageSize"])
    return _json({"entries": found[start:end], **({"nextPageToken": str(end)} if end < len(found) else {})})


def _series(google: Google, method: str, names: list[str], asked: Mapping[str, str], body: bytes) -> Reply:
    metric = re.findall(r'metric.type="([^"]*)"', asked["filter"])[0]
    if metric not in google.series:
        return _error(404, "Cannot find metric(s) that match type", "NOT_FOUND")
    points = [{"value": {"doubleValue": value}} for value in google.series[metric]]
    return _json({"timeSeries": [{"points": [point]} for point in points], "unit": "10^2.%"})


_ROUTES: tuple[tuple[str, Callable[..., Reply]], ...] = (
    (r"/storage/v1/b", _buckets),
    (r"/storage/v1/b/([^/]+)", _bucket),
    (r"/storage/v1/b/([^/]+)/o", _listing),
    (r"/storage/v1/b/([^/]+)/o/(.+)", _object),
    (r"/upload/storage/v1/b/([^/]+)/o", _upload),
    (rf"/v1/projects/{PROJECT}/secrets", _secrets),
    (rf"/v1/projects/{PROJECT}/secrets/(.+)", _secret),
    (r"/v2/entries:list", _entries),
    (rf"/v3/projects/{PROJECT}/timeSeries", _series),
)


class Jobs:
    """Custom jobs of a cloud; ``fail`` makes the next calls fail."""

    def __init__(self, google: Google) -> None:
        self._google = google
        self.fail: list[Exception] = []
        self.lost: list[Exception] = []

    def create(self, native: Mapping[str, Any]) -> dict[str, Any]:
        self._called("create")
        with self._google.lock:
            name = f"projects/{NUMBER}/locations/{LOCATION}/customJobs/{1000 + len(self._google.calls)}"
            time = f"2026-11-25T09:00:{len(self._google.jobs):02d}.5Z"
            made = {**copy.deepcopy(dict(native)), "name": name, "state": "JOB_STATE_PENDING", "createTime": time}
            self._google.jobs[name] = made
        if self.lost:
            raise self.lost.pop(0)
        return copy.deepcopy(made)

    def get(self, resource: str) -> dict[str, Any]:
        self._called("get")
        return copy.deepcopy(self._there(resource))

    def list(self, wanted: str, *, fields: str = "", size: int = 100) -> Iterator[dict[str, Any]]:
        self._called("list")
        match = re.fullmatch(r'labels\.(\w+)(?:="([^"]*)"|:\*)', wanted)
        assert match is not None, wanted
        for job in list(self._google.jobs.values()):
            if match[1] in job["labels"] and match[2] in (None, job["labels"][match[1]]):
                yield copy.deepcopy(job)

    def cancel(self, resource: str) -> None:
        self._called("cancel")
        self._there(resource)["state"] = "JOB_STATE_CANCELLED"

    def delete(self, resource: str) -> None:
        self._called("delete")
        job = self._there(resource)
        if job["state"] in ("JOB_STATE_PENDING", "JOB_STATE_RUNNING"):
            raise Refused(Answered("FAILED_PRECONDITION", "The job is not in a final state.", 400))
        del self._google.jobs[resource]

    def close(self) -> None: ...

    def _called(self, verb: str) -> None:
        self._google.calls.append(verb)
        if self.fail:
            raise self.fail.pop(0)

    def _there(self, resource: str) -> dict[str, Any]:
        if resource not in self._google.jobs:
            raise Refused(Answered("NOT_FOUND", f"The CustomJob {resource} does not exist.", 404))
        return self._google.jobs[resource]


class FakeClient(Client):
    """A client of that cloud; its time passes by sleeping."""

    def __init__(self, google: Google, root: Path = Path("/nowhere"), **settings: Any) -> None:
        super().__init__(VertexTarget(**{"project": PROJECT, "location": LOCATION, **settings}), None, root)
        self.google = google
        self.slept = 0.0
        self.fake = Jobs(google)
        self._jobs = self.fake
        self._session = self
        self.sleep = self._pass

    def _pass(self, seconds: float) -> None:
        self.slept += seconds

    def request(  # type: ignore[override]
        self, call: str, method: str, url: str, *, repeat: bool = True, fine: tuple[int, ...] = (), **given: Any
    ) -> Any:
        self.google.calls.append(call)
        body = json.dumps(given["json"]).encode() if "json" in given else given.get("data", b"")
        status, headers, content = self.google.answer(
            method, url, given.get("params", {}), body, given.get("headers", {})
        )
        answer = _Answer(status, headers, content)
        if status >= 400 and status not in fine:
            raise Refused(Answered.parse(status, answer.json(), call))
        return answer

    def close(self) -> None: ...


@dataclass
class _Answer:
    status_code: int
    headers: dict[str, str]
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content or b"{}")


@contextmanager
def served(google: Google) -> Iterator[str]:
    """The cloud at a loopback address, for what runs in containers: ``http://127.0.0.1:<port>``."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, content = google.answer(self.command, self.path, {}, body, dict(self.headers))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _any

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
