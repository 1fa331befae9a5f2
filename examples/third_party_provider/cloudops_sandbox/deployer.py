"""The serving role: an endpoint is a folder and a process (:mod:`.door`) that lets requests in."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cloudops.errors import Conflict, InvalidRequest, NotFound, ProviderError, Unavailable, UnsupportedFeature
from cloudops.provider import Answer, Deployer, DeployRequest, Plan
from cloudops.refs import Listed, LogLine, Phase, Ref, Status
from cloudops.runtime.archive import build
from cloudops.store.snapshot import unpack

from . import files
from .trainer import lines


class SandboxDeployer(Deployer):
    """Endpoints below ``base``: ``wanted.json`` is written here, ``state.json`` by the door."""

    def __init__(self, base: Path) -> None:
        self.base = base

    def plan(self, request: DeployRequest) -> Plan:
        """Nothing is created."""
        _ours(request, files.read(self.base / "endpoints" / request.endpoint / "wanted.json"))
        creates = [f"the version {request.version} of the endpoint {request.endpoint}"]
        return Plan(creates, {"environment": self._environment(request)}, cost="no charge: this machine")

    def deploy(self, request: DeployRequest) -> Ref:
        """Idempotent: the version's name follows from what is served."""
        if request.spec.min_replicas != 1:
            raise UnsupportedFeature("deploy.min_replicas: an endpoint has one replica", provider="sandbox")
        folder = self.base / "endpoints" / request.endpoint
        with files.alone(self.base):
            _ours(request, files.read(folder / "wanted.json"))
            _serve_from(folder / "versions" / request.version, request)
            while files.alive(folder) and (files.read(folder / "state.json") or {}).get("phase") == "failed":
                time.sleep(0.01)  # the door ends at this moment
            before = files.read(folder / "wanted.json")
            wanted = self._wanted(request, before["generation"] + 1 if before else 1)
            if not _serves(folder):
                self._open(folder, wanted)
            elif before["version"] != request.version or _refused_last(folder):
                files.write(folder / "wanted.json", wanted)
        return self._ref(request.endpoint)

    def find(self, name: str) -> Ref | None:
        """An endpoint is there once a version of it was wanted."""
        return self._ref(name) if (self.base / "endpoints" / name / "wanted.json").exists() else None

    def status(self, ref: Ref) -> Status:
        """What the door says, unless it is gone or has not seen the last deployment yet."""
        folder = self.folder(ref)
        wanted, state = files.read(folder / "wanted.json"), files.read(folder / "state.json")
        if not _serves(folder) and (state is None or state["phase"] != "failed"):
            return Status(Phase.FAILED, "lost: its processes were killed; deploy again", created=wanted["created"])
        if state is None:
            return Status(Phase.STARTING, created=wanted["created"])
        phase = Phase(state["phase"])
        if phase is Phase.READY and state["generation"] < wanted["generation"]:
            phase = Phase.UPDATING
        live = {"traffic": {state["live"]: 100.0}, "url": state["url"]} if state["live"] else {}
        refused = wanted["version"] if state["refused"] == wanted["generation"] else ""
        return Status(phase, state["reason"], state["phase"], wanted["created"], refused=refused, **live)

    def predict(
        self, ref: Ref, body: bytes, *, content_type: str = "application/json", version: str | None = None
    ) -> Answer:
        """Through the endpoint's URL, as anybody would."""
        if version is not None:
            raise _no("one version serves at a time, so none can be asked for")
        url = self.status(ref).url
        if url is None:
            raise Unavailable(f"the endpoint {ref.id} does not serve", provider="sandbox", ref=ref)
        request = urllib.request.Request(f"{url}/invocations", data=body, headers={"Content-Type": content_type})
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
                headers = answer.headers
                return Answer(answer.read(), headers.get("Content-Type", ""), headers.get("x-cloudops-version", ""))
        except urllib.error.HTTPError as error:
            raise _refused(ref, error) from error
        except OSError as error:
            raise Unavailable(f"the endpoint {ref.id}: {error}", provider="sandbox", ref=ref) from error

    def set_traffic(self, ref: Ref, shares: Mapping[str, float]) -> None:
        """Declared as lacking, so nobody should come here; who does is told."""
        raise _no("one version serves at a time")

    def rollback(self, ref: Ref) -> None:
        """Declared as lacking."""
        raise _no("it forgets the version before")

    def logs(self, ref: Ref, *, follow: bool = False, tail: int | None = None) -> Iterator[LogLine]:
        """What the door and the replicas print."""
        path = self.folder(ref) / "log"
        return lines(path, (lambda: files.alive(path.parent)) if follow else None, tail, "replica")

    def delete(self, ref: Ref) -> None:
        """Silent when it is gone."""
        with files.alone(self.base):
            if self.find(ref.id) is not None:
                files.remove(self.folder(ref))

    def endpoints(self, project: str | None = None) -> Iterator[Listed]:
        """In no order."""
        for path in self.base.glob("endpoints/*/wanted.json"):
            ref, wanted = self._ref(path.parent.name), files.read(path)
            if wanted is not None and project in (None, wanted["project"]):
                with contextlib.suppress(NotFound):  # deleted meanwhile
                    yield Listed(ref, self.status(ref).phase, wanted["created"], wanted["project"])

    def _open(self, folder: Path, wanted: dict[str, Any]) -> None:
        """Start the door."""
        with files.starting(folder) as lock:
            (folder / "state.json").unlink(missing_ok=True)
            files.write(folder / "wanted.json", wanted)
            argv = [sys.executable, "-m", "cloudops_sandbox.door", str(build(self.base))]
            files.start(folder, lock, argv, files.environment({"PYTHONPATH": ":".join(filter(None, sys.path))}))

    def _wanted(self, request: DeployRequest, generation: int) -> dict[str, Any]:
        """What the door reads."""
        return {
            "version": request.version,
            "generation": generation,
            "project": request.project,
            "created": time.time(),
            "environment": files.environment(self._environment(request)),
            "patience": request.spec.readiness_timeout,
        }

    def _environment(self, request: DeployRequest) -> dict[str, str]:
        """The settings of the runtime's server: see :mod:`cloudops.runtime.settings`."""
        folder = self.base / "endpoints" / request.endpoint / "versions" / request.version
        own = {"CLOUDOPS_MODEL_DIR": str(folder / "model"), "CLOUDOPS_MODEL_VERSION": request.version}
        if request.predictor is not None:
            own["CLOUDOPS_PREDICTOR"] = str(folder / "code" / request.predictor)
        return {**request.spec.envs, **own, "CLOUDOPS_PORT": "0"}

    def _ref(self, name: str) -> Ref:
        return Ref("sandbox", str(self.base).strip("/"), "endpoints", name)

    def folder(self, ref: Ref) -> Path:
        """The folder of an endpoint. Raises NotFound."""
        if self.find(ref.id) is None:
            raise NotFound(f"there is no endpoint {ref.id} in {self.base}", provider="sandbox", ref=ref)
        return self.base / "endpoints" / ref.id


def _serves(folder: Path) -> bool:
    """Whether the door is there: it starts at this moment, or it listens (a replica may have outlived it)."""
    state = files.read(folder / "state.json")
    if state is None or not files.alive(folder):
        return files.alive(folder)
    try:
        socket.create_connection(("127.0.0.1", urlsplit(state["url"]).port), timeout=5).close()
    except OSError:
        return False
    return True


def _refused_last(folder: Path) -> bool:
    """Whether the last thing that the door saw was a version that it did not take in."""
    state = files.read(folder / "state.json")
    return state is not None and state["generation"] == state["refused"]


def _serve_from(folder: Path, request: DeployRequest) -> None:
    """Copy what is served, so that the job that made it can be deleted."""
    if folder.exists():
        return
    part = folder.with_name("part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(request.model.location, part / "model")
    (part / "code").mkdir()
    if request.code is not None:
        unpack(request.code.archive, part / "code")
    part.rename(folder)


def _ours(request: DeployRequest, wanted: dict[str, Any] | None) -> None:
    """An endpoint is one project's; what another one serves is not replaced."""
    if wanted is not None and wanted["project"] != request.project:
        message = f"the endpoint {request.endpoint} belongs to the project {wanted['project']}"
        raise Conflict(message, provider="sandbox", operation="deploy", hint="choose another name for yours")


def _no(reason: str) -> UnsupportedFeature:
    return UnsupportedFeature(f"sandbox cannot do this: {reason}", provider="sandbox", hint="use local")


def _refused(ref: Ref, error: urllib.error.HTTPError) -> ProviderError:
    """What an answer of 400 or more means; the model's own reason is in it."""
    reason = error.read().decode(errors="replace")
    with contextlib.suppress(ValueError, KeyError, TypeError):
        reason = json.loads(reason)["error"]
    kind = InvalidRequest if error.code < 500 else Unavailable if error.code == 503 else ProviderError
    message = f"the endpoint {ref.id} answered {error.code}: {reason}"
    return kind(message, code=str(error.code), provider="sandbox", operation="predict", ref=ref)
