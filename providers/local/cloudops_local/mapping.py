"""Pure functions: a request to what the engine runs, and what the engine tells to the common words."""

from __future__ import annotations

import math
import os
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from cloudops.engine.job import JobSpec, JobState
from cloudops.refs import MetricPoint, Phase, Status
from cloudops.store import access
from cloudops.store.uris import redact

from .layout import JobFolder

if TYPE_CHECKING:
    from cloudops.engine.service_types import Rollout, ServiceState, VersionSpec
    from cloudops.provider import BatchRequest, DeployRequest, Input, JobRequest
    from cloudops.quantities import Amount

_GIB = 1 << 30

_JOB_PHASES = {
    "pending": Phase.PENDING,
    "preparing": Phase.STARTING,
    "running": Phase.RUNNING,
    "stopping": Phase.STOPPING,
    "succeeded": Phase.SUCCEEDED,
    "failed": Phase.FAILED,
    "cancelled": Phase.CANCELLED,
}
_SERVICE_PHASES = {
    "creating": Phase.STARTING,
    "updating": Phase.UPDATING,
    "rolling_back": Phase.UPDATING,
    "ready": Phase.READY,
    "degraded": Phase.READY,
    "recovering": Phase.UPDATING,
    "down": Phase.FAILED,
    "failed": Phase.FAILED,
    "deleting": Phase.DELETING,
    "deleted": Phase.DELETED,
}
#: What a job inherits of the caller's environment; everything else is declared in the spec, as on a cloud.
_INHERITED = ("HOME", "LANG", "LC_ALL", "LC_CTYPE", "LOGNAME", "SHELL", "TMPDIR", "TZ", "USER")
#: What building an environment needs besides: how to reach the package index.
_INDEX = ("PIP_", "UV_", "SSL_CERT_", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "XDG_CACHE_HOME")


def job_status(state: JobState) -> Status:
    """Where a job stands; a phase of the engine that is not known here is UNKNOWN."""
    return Status(
        phase=_JOB_PHASES.get(state.phase, Phase.UNKNOWN),
        reason=state.reason,
        native=state.phase,
        started=state.started,
        ended=state.ended,
        exit_code=state.exit_code,
        attempt=state.attempt or None,
    )


def endpoint_status(state: ServiceState) -> Status:
    """Where an endpoint stands; it is updating until the supervisor has seen the last call."""
    phase = _SERVICE_PHASES.get(state.phase, Phase.UNKNOWN)
    if state.observed_generation < state.generation and phase is Phase.READY:
        phase = Phase.UPDATING
    return Status(
        phase=phase,
        reason=state.reason,
        native=state.phase,
        traffic={version.name: version.traffic for version in state.versions if version.traffic},
        url=state.url,
        refused="" if state.observed_generation < state.generation else state.refused,
        details={
            "versions": {
                version.name: {
                    "state": version.state,
                    "traffic": version.traffic,
                    "replicas": len([r for r in version.replicas if r.ready]),
                    "reason": version.reason,
                }
                for version in state.versions
            }
        },
    )


def metric_points(lines: Sequence[Any]) -> list[MetricPoint]:
    """What a job logged."""
    return [
        MetricPoint(
            line.name,
            line.value,
            time=line.time,
            step=line.step,
            labels={"rank": str(line.rank)} if line.rank else {},
        )
        for line in lines
    ]


def contract(request: JobRequest, folder: JobFolder, checkpoints: Path) -> dict[str, Any]:
    """The job as the runtime inside it reads it."""
    return {
        "command": request.spec.command,
        "code": str(folder.code),
        "inputs": {name: str(input_path(folder, name, item)) for name, item in request.inputs.items()},
        "outputs": {name: str(folder.named_output(name)) for name in request.spec.outputs},
        "params": dict(request.spec.params),
        "model_dir": str(folder.model),
        "output_dir": str(folder.output),
        "checkpoint_dir": str(checkpoints),
        "requirements": None,
    }


def input_path(folder: JobFolder, name: str, item: Input) -> Path:
    """Where the job finds an input: a plain path where it is, a glob or a URI staged in the job's folder."""
    if not staged(item):
        return Path(item.source)
    base = folder.inputs / name
    if item.is_uri and not is_folder(item.source):
        return base / posixpath.basename(urlsplit(item.source).path)
    return base


def staged(item: Input) -> bool:
    """Whether an input has to be fetched or gathered before the job can read it."""
    return item.is_uri or (any(mark in item.source for mark in "*?[") and not Path(item.source).exists())


def is_folder(uri: str) -> bool:
    """Whether a URI names a prefix or a glob rather than one object."""
    path = urlsplit(uri).path
    return path.endswith("/") or not posixpath.basename(path) or any(mark in path for mark in "*?[")


def stages(inputs: Mapping[str, Input], folder: JobFolder) -> list[dict[str, str]]:
    """What :mod:`cloudops_local.stage` does for each input before the job runs.

    It has a ``source``, or the ``secret`` that holds it; a ``target`` where it has to be fetched or gathered; and for
    what is on this machine its ``version``, which it must still have.
    """
    return [
        {
            "name": name,
            **({"secret": _variable(name)} if _signed(item) else {"source": item.source}),
            **({"target": str(input_path(folder, name, item))} if staged(item) else {}),
            **({} if item.is_uri else {"version": item.version}),
        }
        for name, item in inputs.items()
    ]


def source_secrets(inputs: Mapping[str, Input], environ: Mapping[str, str]) -> dict[str, str]:
    """What the set-up needs to fetch inputs, and the job itself is not to see.

    The URLs that hold a signature or a password, each in a variable of its own, and what leads to object stores.
    """
    found = {_variable(name): item.source for name, item in inputs.items() if _signed(item)}
    if any(item.is_uri for item in inputs.values()):
        found.update(access.pack(environ))
    return found


def _variable(name: str) -> str:
    return f"CLOUDOPS_SOURCE_{name.upper()}"


def _signed(item: Input) -> bool:
    return redact(item.source) != item.source


def job_spec(
    request: JobRequest,
    folder: JobFolder,
    *,
    python: str,
    runtime: Path,
    setup: Sequence[Sequence[str]] = (),
    gpus: Sequence[str] = (),
    environ: Mapping[str, str],
) -> JobSpec:
    """What the engine runs for a request."""
    resources = request.spec.resources
    return JobSpec(
        argv=(python, str(runtime), "train", str(folder.contract)),
        cwd=str(folder.code),
        archive=str(request.code.archive),
        env={**base_environment(environ, python, building=bool(setup)), **request.spec.envs, "CLOUDOPS_CLOUD": "local"},
        ranks=resources.num_nodes,
        cpus=limit(resources.cpus),
        memory=gigabytes(resources.memory),
        timeout=request.spec.timeout,
        retries=request.spec.retries,
        fresh=tuple(map(str, (folder.model, folder.output, *map(folder.named_output, request.spec.outputs)))),
        setup=tuple(tuple(command) for command in setup),
        gpus=tuple(gpus),
        labels={"name": request.name, "project": request.lineage.project, "step": request.step},
    )


def batch_spec(
    request: BatchRequest,
    folder: JobFolder,
    *,
    python: str,
    runtime: Path,
    setup: Sequence[Sequence[str]] = (),
    gpus: Sequence[str] = (),
    environ: Mapping[str, str],
) -> JobSpec:
    """What the engine runs for predictions of a table."""
    resources, predictions = request.spec.resources, folder.named_output("predictions")
    env = {
        **base_environment(environ, python, building=bool(setup)),
        **request.spec.envs,
        "CLOUDOPS_CLOUD": "local",
        "CLOUDOPS_MODEL_DIR": request.model.location,
    }
    if request.predictor is not None:
        env["CLOUDOPS_PREDICTOR"] = str(folder.code / request.predictor)
    return JobSpec(
        argv=(python, str(runtime), "batch", str(input_path(folder, "data", request.data)), str(predictions)),
        cwd=str(folder.code),
        archive=str(request.code.archive) if request.code else None,
        env=env,
        cpus=limit(resources.cpus),
        memory=gigabytes(resources.memory),
        setup=tuple(tuple(command) for command in setup),
        gpus=tuple(gpus),
        labels={"name": request.name, "project": request.lineage.project, "step": request.step},
    )


def version_spec(
    request: DeployRequest,
    folder: Path,
    *,
    python: str,
    runtime: Path,
    setup: Sequence[Sequence[str]] = (),
    gpus: Sequence[str] = (),
    environ: Mapping[str, str],
) -> VersionSpec:
    """What the engine serves for a request; ``folder`` holds ``model`` and ``code``."""
    from cloudops.engine.service_types import VersionSpec

    spec = request.spec
    env = {
        **base_environment(environ, python, building=bool(setup)),
        **spec.envs,
        "CLOUDOPS_CLOUD": "local",
        "CLOUDOPS_MODEL_DIR": str(folder / "model"),
        "CLOUDOPS_MODEL_NAME": request.endpoint,
    }
    if request.predictor is not None:
        env["CLOUDOPS_PREDICTOR"] = str(folder / "code" / request.predictor)
    return VersionSpec(
        name=request.version,
        argv=(python, str(runtime), "serve"),
        env=env,
        cwd=str(folder / "code" if request.code else folder),
        min_replicas=spec.min_replicas,
        max_replicas=spec.max_replicas or spec.min_replicas,
        cpus=limit(spec.resources.cpus),
        memory=gigabytes(spec.resources.memory),
        readiness_timeout=spec.readiness_timeout,
        setup=tuple(tuple(command) for command in setup),
        gpus=tuple(gpus),
        capture_sample=spec.capture.sample if spec.capture else 0.0,
    )


def rollout(request: DeployRequest) -> Rollout:
    """How traffic moves to the new version."""
    from cloudops.engine.service_types import Rollout

    traffic = request.spec.traffic
    return Rollout(canary=traffic.canary, bake=traffic.bake or 0.0)


def limit(amount: Amount | None) -> float | None:
    """The limit that an amount of CPUs sets: none for "at least"."""
    return None if amount is None or amount.at_least else amount.value


def gigabytes(amount: Amount | None) -> int | None:
    """The limit in bytes that an amount of memory sets: none for "at least"."""
    value = limit(amount)
    return None if value is None else math.ceil(value * _GIB)


def base_environment(environ: Mapping[str, str], python: str, *, building: bool) -> dict[str, str]:
    """The environment that every process starts from: the interpreter first on the path, little else.

    Args:
        environ: the caller's environment.
        python: the interpreter of the step.
        building: keep what says how to reach a package index, without the credentials in it.
    """
    kept = {key: value for key, value in environ.items() if key in _INHERITED}
    if building:
        from cloudops.offline.indexes import holds_credentials

        kept |= {key: value for key, value in _index(environ).items() if not holds_credentials(key, value)}
    path = os.pathsep.join([str(Path(python).parent), environ.get("PATH", os.defpath)])
    # Threads of OpenMP that spin while they wait slow everything else on this machine down; a cloud's is not shared.
    return {"OMP_WAIT_POLICY": "PASSIVE", **kept, "PATH": path}


def index_credentials(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of package indexes that hold credentials; they travel as secrets do."""
    from cloudops.offline.indexes import holds_credentials

    return {key: value for key, value in _index(environ).items() if holds_credentials(key, value)}


def _index(environ: Mapping[str, str]) -> dict[str, str]:
    from cloudops.offline.environment import outside

    return {key: value for key, value in outside(environ).items() if key.upper().startswith(_INDEX)}
