"""Pure functions: a job's request to a CustomJob and to what its container reads."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cloudops.errors import ConfigError, InvalidRequest, UnsupportedFeature
from cloudops.store import inputs

from . import images, machines, names
from .machines import Machine
from .names import Layout, Place

if TYPE_CHECKING:
    from cloudops.provider import Input, JobRequest
    from cloudops.specs import StepSpec

    from .options import VertexJobOptions, VertexTarget

#: Seconds between SIGTERM and SIGKILL where an attempt exceeds its timeout.
GRACE = 30.0
#: What the service adds around attempts: installing, downloading, uploading.
_AROUND = 1800.0
#: The service's own default of a job's timeout, in days.
_LONGEST = 7
_ENTRIES = 100
#: Gigabytes of the boot disk: the default, and the least that the service takes.
_DISK = 100
#: Variables that the service sets, and that tell each node its place.
RESERVED = re.compile(r"AIP_.*|CLOUD_ML_.*|CLUSTER_SPEC")
#: The variable in a job's description that tells that there may be further attempts.
RETRIES = "CLOUDOPS_RETRIES"
#: The label of a job that has a secret.
SECRET = "cloudops_secret"
_STRATEGIES = {"spot": "SPOT", "flex-start": "FLEX_START"}


@dataclass(frozen=True, slots=True)
class Where:
    """The project's side of a request.

    Args:
        project: id of the cloud's project.
        location: of the jobs.
        layout: of the cloudops project.
        settings: of the target.
    """

    project: str
    location: str
    layout: Layout
    settings: VertexTarget


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a job's request becomes.

    Args:
        native: the CustomJob, in the notation of the REST API.
        boot: what the first process in the container reads.
        requirements: the requirements file in the container, or None.
        notes: what is emulated, or worth knowing.
        cost: one line.
    """

    native: dict[str, Any]
    boot: dict[str, Any]
    requirements: str | None
    notes: tuple[str, ...]
    cost: str


def prepare(request: JobRequest, where: Where, runtime: str, stub: str) -> Prepared:
    """The native request of a job.

    Args:
        request: of the core.
        where: of the project.
        runtime: the file name of the runtime's archive.
        stub: the program that the container starts with.

    Raises:
        ProviderError, ConfigError: something in the request has no place in Vertex AI; names the key.
    """
    options: VertexJobOptions | None = request.options
    _check(request, options, where.settings)
    resources = request.spec.resources
    override = options.machine_type if options else None
    machine, notes = machines.choose(request.step, resources, override, where.settings.machine_type)
    image = images.choose(
        request.step, request.spec.framework, request.spec.image, where.location, gpu=machine.count > 0
    )
    requirements = "\n".join([*image.requirements, request.requirements or ""]).strip() or None
    boot = boot_document(request, where, runtime, requirements is not None)
    native = _native(request, options, where, machine, image.uri, stub)
    notes = [*notes, *([image.note] if image.note else []), *_notes(request, options, where.settings)]
    return Prepared(native, boot, requirements, tuple(notes), _cost(request, options, where.settings, machine))


def archive_place(layout: Layout, name: str) -> Place:
    """Where what the stub fetches is."""
    return layout.job(name) / "job.zip"


def _native(
    request: JobRequest, options: VertexJobOptions | None, where: Where, machine: Machine, image: str, stub: str
) -> dict[str, Any]:
    settings, layout = where.settings, where.layout
    archive = archive_place(layout, request.name)
    pool: dict[str, Any] = {
        "machineSpec": machine.spec,
        "replicaCount": "1",
        "diskSpec": {
            "bootDiskType": options.disk_type if options else "pd-ssd",
            "bootDiskSizeGb": disk_size(request.spec),
        },
        "containerSpec": {
            "imageUri": image,
            "command": ["python3", "-c"],
            "args": [stub, archive.bucket, archive.key],
            **({"env": variables} if (variables := environment(request)) else {}),
        },
    }
    nodes = request.spec.resources.num_nodes
    job: dict[str, Any] = {
        "workerPoolSpecs": [pool, *([{**pool, "replicaCount": str(nodes - 1)}] if nodes > 1 else [])],
        "scheduling": scheduling(request, options),
        "baseOutputDirectory": {"outputUriPrefix": layout.job(request.name).uri},
        **_key("serviceAccount", settings.service_account),
        **_key("network", settings.network),
        **_key("persistentResourceId", persistent(options, settings)),
    }
    if options and options.enable_web_access:
        job["enableWebAccess"] = True
    native: dict[str, Any] = {
        "displayName": request.name,
        "jobSpec": job,
        "labels": {**names.job_labels(request, settings.labels), **({SECRET: "1"} if request.secrets else {})},
    }
    if settings.kms_key:
        native["encryptionSpec"] = {"kmsKeyName": settings.kms_key}
    return native


def boot_document(request: JobRequest, where: Where, runtime: str, requirements: bool) -> dict[str, Any]:
    """What ``boot.py`` in the container reads; the names of what matches a pattern are added when it is staged."""
    layout, options = where.layout, request.options
    secret = names.secret_url(where.project, request.name) if request.secrets else ""
    return {
        "bucket": layout.base.bucket,
        "folder": layout.job(request.name).key,
        "checkpoints": layout.checkpoints(request.checkpoint or request.name).key,
        "code": layout.code(request.code.digest).key,
        "runtime": runtime,
        "inputs": {name: _input(item, layout) for name, item in request.inputs.items()},
        "mount": options is None or options.input_mode == "mount",
        "outputs": list(request.spec.outputs),
        "requirements": requirements,
        "secret": secret,
        "kms_key": where.settings.kms_key or "",
        "env": {key: value for key, value in request.spec.envs.items() if not _is_described(request, key)},
        "attempts": request.spec.retries + 1,
        "timeout": request.spec.timeout,
        "grace": GRACE,
        "command": request.spec.command,
        "params": dict(request.spec.params),
    }


def is_gs(item: Input) -> bool:
    """Whether a job can read an input where it is."""
    return item.source.startswith("gs://")


def _input(item: Input, layout: Layout) -> dict[str, str]:
    """Where the container finds an input."""
    name = inputs.within(item.source)
    if is_gs(item):
        place = pattern_start(item) if inputs.is_pattern(item.source) else Place.parse(item.source)
    else:
        place = layout.data(data_name(item))
        place = place / name if name else place
    return {"bucket": place.bucket, "key": place.key, "kind": "object" if name else "prefix"}


def pattern_start(item: Input) -> Place:
    """The folder below which everything is that matches an input's pattern."""
    place = Place.parse(item.source)
    return Place(place.bucket, re.split(r"[*?\[]", place.key, maxsplit=1)[0].rpartition("/")[0])


def data_name(item: Input) -> str:
    """The name of what is uploaded for an input: its version says what is in it, its basename how a file is called."""
    return names.short_digest([item.version or item.source, inputs.within(item.source)], 40)


def scheduling(request: JobRequest, options: VertexJobOptions | None) -> dict[str, Any]:
    """How machines are had, and the service's own bound around all attempts."""
    spec = request.spec
    found: dict[str, Any] = {}
    if spec.timeout is not None:
        found["timeout"] = f"{math.ceil(_all_attempts(spec))}s"
    chosen = strategy(spec, options)
    if chosen in _STRATEGIES:
        found["strategy"] = _STRATEGIES[chosen]
    if options and options.max_wait is not None:
        found["maxWaitDuration"] = f"{math.ceil(options.max_wait)}s"
    restart = options.restart_job_on_worker_restart if options else None
    found["restartJobOnWorkerRestart"] = (
        (chosen == "spot" or spec.resources.num_nodes > 1) if restart is None else restart
    )
    return found


def strategy(spec: StepSpec, options: VertexJobOptions | None) -> str:
    """``standard``, ``spot`` or ``flex-start``."""
    return (options.strategy if options else None) or ("spot" if spec.resources.use_spot else "standard")


def persistent(options: VertexJobOptions | None, settings: VertexTarget) -> str | None:
    """The persistent resource that a job runs on, or None."""
    return (options.persistent_resource if options else None) or settings.persistent_resource


def disk_size(spec: StepSpec) -> int:
    """Gigabytes of the boot disk."""
    return max(_DISK, spec.resources.disk_size or _DISK)


def _all_attempts(spec: StepSpec) -> float:
    """Seconds that all attempts of a job may take, with what is around them."""
    return ((spec.timeout or 0.0) + GRACE) * (spec.retries + 1) + _AROUND


def environment(request: JobRequest) -> list[dict[str, str]]:
    """The variables in the description of the job; those that do not fit travel in ``boot.json``."""
    found = {key: value for key, value in request.spec.envs.items() if _is_described(request, key)}
    if request.spec.retries:
        found[RETRIES] = str(request.spec.retries)
    return [{"name": key, "value": value} for key, value in found.items()]


def _is_described(request: JobRequest, key: str) -> bool:
    """Whether a variable can be in the description: there ``$(X)`` is replaced, and an empty value is no value."""
    value = request.spec.envs[key]
    return len(request.spec.envs) <= _ENTRIES - 5 and "$" not in value and value != ""


def _cost(request: JobRequest, options: VertexJobOptions | None, settings: VertexTarget, machine: Machine) -> str:
    resource = persistent(options, settings)
    if resource is not None:
        return f"the persistent resource {resource} costs what it costs anyway"
    spot = strategy(request.spec, options) == "spot"
    return machines.price(machine, request.spec.resources.num_nodes, disk=disk_size(request.spec), spot=spot)


def _notes(request: JobRequest, options: VertexJobOptions | None, settings: VertexTarget) -> list[str]:
    step, spec, notes = request.step, request.spec, []
    if spec.timeout is None:
        notes.append(f"{step}: no timeout is set, so Vertex AI ends the job after {_LONGEST} days")
    if spec.resources.disk_size and spec.resources.disk_size < _DISK:
        notes.append(f"{step}.resources.disk_size: the least is {_DISK} GB, so that it is")
    if persistent(options, settings) is not None:
        notes.append(f"{step}: the machine must be one that the persistent resource has")
    if request.secrets and settings.service_account is None:
        notes.append(
            f"{step}.secrets: Vertex AI's service agent needs secretmanager.versions.access; or name an account"
        )
    if spec.image is not None:
        notes.append(f"{step}.image: it needs python3 (3.9 or later) and /bin/sh")
    fetched = [name for name, item in request.inputs.items() if item.is_uri and not is_gs(item)]
    notes += [f"{step}.inputs.{name}: fetched on this machine, then uploaded to the bucket" for name in fetched]
    return notes


def _check(request: JobRequest, options: VertexJobOptions | None, settings: VertexTarget) -> None:
    step, spec = request.step, request.spec
    if spec.retries and spec.resources.num_nodes > 1:
        raise UnsupportedFeature(
            "attempts are repeated in each container, and nodes that run together would not agree on them",
            provider="vertex",
            hint="set retries: 0 with num_nodes, or resume a failed job by the same call again",
        ).at(step, "retries")
    for key in (*spec.envs, *spec.secrets):
        if RESERVED.fullmatch(key):
            where = "envs" if key in spec.envs else "secrets"
            text = f"the variable {key} is set by Vertex AI"
            raise InvalidRequest(text, provider="vertex", hint="choose another name").at(step, where)
    place = ("overrides", "vertex", step)
    if options and spec.resources.use_spot and options.strategy not in (None, "spot"):
        text = f"expected no strategy: {options.strategy} with resources.use_spot; leave one of the two out"
        raise ConfigError(text).at(*place, "strategy")
    if persistent(options, settings) is not None and strategy(spec, options) != "standard":
        text = "a persistent resource has its machines already: spot and flex-start have no meaning with it"
        raise ConfigError(text, hint="leave one of the two out").at(*place, "persistent_resource")


def lineage_document(request: JobRequest) -> dict[str, Any]:
    """``lineage.json``, which lies beside what a job leaves."""
    return {**asdict(request.lineage), "requirements": request.requirements}


def shown(request: JobRequest, prepared: Prepared) -> dict[str, Any]:
    """The native request with what travels beside it, secrets masked; JSON values only."""
    native: dict[str, Any] = {"customJobs.create": prepared.native, "boot.json": prepared.boot}
    if request.secrets:
        native["secrets"] = dict.fromkeys(request.secrets, "***")
    found = dict(json.loads(json.dumps(native)))
    for pool in found["customJobs.create"]["jobSpec"]["workerPoolSpecs"]:
        pool["containerSpec"]["args"][0] = "<container/stub.py>"
    return found


def described_environment(described: Mapping[str, Any]) -> dict[str, str]:
    """The variables in a job's description, by name."""
    pools = described.get("jobSpec", {}).get("workerPoolSpecs", ())
    listed = pools[0].get("containerSpec", {}).get("env", ()) if pools else ()
    return {str(item["name"]): str(item.get("value", "")) for item in listed}


def folder(described: Mapping[str, Any]) -> Place:
    """Where everything of a job is."""
    return Place.parse(described["jobSpec"]["baseOutputDirectory"]["outputUriPrefix"])


def checkpoints(described: Mapping[str, Any]) -> Place:
    """Where the checkpoints of a job are; other tries of its intent may have them too."""
    base = folder(described)
    root = base.key.rpartition("/jobs/")[0]
    return Place(base.bucket, root) / "checkpoints" / str(described["labels"][names.CHECKPOINT])


def _key(name: str, value: str | None) -> dict[str, str]:
    return {name: value} if value else {}
