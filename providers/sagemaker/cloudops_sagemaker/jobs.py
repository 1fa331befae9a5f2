"""Pure functions: a job's request to CreateTrainingJob and to what its container reads."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from cloudops.errors import ConfigError, InvalidRequest, UnsupportedFeature
from cloudops.store import inputs

from . import images, machines, names
from .names import CODE_CHANNEL, JOB_CHANNEL, Layout

if TYPE_CHECKING:
    from cloudops.provider import Input, JobRequest
    from cloudops.specs import StepSpec

    from .options import SageMakerJobOptions, SageMakerTarget

#: Seconds between SIGTERM and SIGKILL where an attempt exceeds its timeout.
GRACE = 30.0
#: What the service adds around attempts: installing, downloading, uploading.
_AROUND = 1800.0
#: Where there is no timeout: the service's own default, and the most that it takes.
_LONGEST, _MOST = 86400, 2419200
_ENV_LENGTH, _PARAM_LENGTH, _ENTRIES, _CHANNELS = 512, 2500, 100, 20
_DISK = 30
#: What the runtime and the toolkits set themselves.
_ARCHIVE = "/output/model.tar.gz"


@dataclass(frozen=True, slots=True)
class Where:
    """The account's side of a request.

    Args:
        region: of everything.
        role: ARN.
        layout: of the project.
        settings: of the target.
    """

    region: str
    role: str
    layout: Layout
    settings: SageMakerTarget


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a job's request becomes.

    Args:
        native: the request of CreateTrainingJob.
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


def prepare(request: JobRequest, where: Where, runtime: str) -> Prepared:
    """The native request of a job.

    Args:
        request: of the core.
        where: of the account.
        runtime: the file name of the runtime's archive.

    Raises:
        ProviderError, ConfigError: something in the request has no place in SageMaker; names the key.
    """
    options: SageMakerJobOptions | None = request.options
    _check(request, options)
    resources = request.spec.resources
    machine, notes = machines.choose(request.step, resources, options.instance_type if options else None)
    image = images.choose(request.step, request.spec.framework, request.spec.image, where.region, machine)
    requirements = "\n".join([*image.requirements, request.requirements or ""]).strip() or None
    boot = boot_document(request, runtime, requirements is not None)
    native = _native(request, options, where, machine, image.uri)
    notes = [*notes, *([image.note] if image.note else []), *_notes(request, native)]
    return Prepared(native, boot, requirements, tuple(notes), machines.price(machine, resources.num_nodes))


def _native(
    request: JobRequest, options: SageMakerJobOptions | None, where: Where, machine: str, image: str
) -> dict[str, Any]:
    settings, resources = where.settings, request.spec.resources
    algorithm: dict[str, Any] = {
        "TrainingImage": image,
        "TrainingInputMode": options.input_mode if options else "File",
        "ContainerEntrypoint": ["/bin/sh", f"/opt/ml/input/data/{JOB_CHANNEL}/entry.sh"],
    }
    if options and options.metric_definitions:
        algorithm["MetricDefinitions"] = [
            {"Name": name, "Regex": regex} for name, regex in options.metric_definitions.items()
        ]
    layout = where.layout
    output: dict[str, Any] = {"S3OutputPath": layout.jobs.uri, **_key("KmsKeyId", settings.output_kms_key)}
    if request.spec.outputs:  # as files: each can be an input, and be read from elsewhere
        output["CompressionType"] = "NONE"
    machine_config: dict[str, Any] = {
        "InstanceType": machine,
        "InstanceCount": resources.num_nodes,
        "VolumeSizeInGB": resources.disk_size or _DISK,
        **_key("VolumeKmsKeyId", settings.volume_kms_key),
    }
    if options and options.keep_alive:
        machine_config["KeepAlivePeriodInSeconds"] = math.ceil(options.keep_alive)
    native: dict[str, Any] = {
        "TrainingJobName": request.name,
        "RoleArn": where.role,
        "AlgorithmSpecification": algorithm,
        "InputDataConfig": _channels(request, options, layout),
        "OutputDataConfig": output,
        "ResourceConfig": machine_config,
        "StoppingCondition": stopping(request, options),
        "CheckpointConfig": {
            "S3Uri": layout.checkpoints(request.checkpoint or request.name).uri,
            "LocalPath": "/opt/ml/checkpoints",
        },
        "EnableManagedSpotTraining": resources.use_spot,
        "EnableInterContainerTrafficEncryption": settings.encrypt_traffic,
        "HyperParameters": hyperparameters(request),
        "Environment": environment(request, where.region),
        "Tags": names.job_tags(request, settings.tags),
    }
    if request.spec.retries:
        native["RetryStrategy"] = {"MaximumRetryAttempts": min(request.spec.retries, 30)}
    if settings.subnets:
        native["VpcConfig"] = {"Subnets": settings.subnets, "SecurityGroupIds": settings.security_group_ids}
    return native


def boot_document(request: JobRequest, runtime: str, requirements: bool) -> dict[str, Any]:
    """What ``boot.py`` in the container reads."""
    paths = {name: f"input/data/{name}{within(item)}" for name, item in request.inputs.items()}
    return {
        "runtime": f"input/data/{JOB_CHANNEL}/{runtime}",
        "code": f"input/data/{CODE_CHANNEL}/code.tar",
        "attempts": request.spec.retries + 1,
        "timeout": request.spec.timeout,
        "grace": GRACE,
        "env": {key: value for key, value in request.spec.envs.items() if not _fits_environment(request, key)},
        "unpack": {name: paths[name] for name in request.inputs if is_model_archive(request, name)},
        "job": {
            "command": request.spec.command,
            "inputs": {name: path for name, path in paths.items() if not is_model_archive(request, name)},
            "outputs": {name: f"output/data/outputs/{name}" for name in request.spec.outputs},
            "params": dict(request.spec.params),
            "model_dir": "model",
            "output_dir": "output/data",
            "checkpoint_dir": "checkpoints",
            "requirements": f"input/data/{JOB_CHANNEL}/requirements.txt" if requirements else None,
        },
    }


def is_model_archive(request: JobRequest, name: str) -> bool:
    """Whether an input is the model of a job of ours: the command is to see its files, not the archive."""
    return request.step == "evaluate" and name == "model" and request.inputs[name].source.endswith(_ARCHIVE)


def is_s3(item: Input) -> bool:
    """Whether SageMaker can read an input where it is."""
    return item.source.startswith("s3://")


def within(item: Input) -> str:
    """Where the command sees an input below its channel: a file by its name, a folder as it is."""
    name = inputs.within(item.source)
    return f"/{name}" if name else ""


def _channels(request: JobRequest, options: SageMakerJobOptions | None, layout: Layout) -> list[dict[str, Any]]:
    mode = options.input_mode if options else "File"
    ours = [
        _channel(JOB_CHANNEL, (layout.job(request.name) / JOB_CHANNEL).uri + "/", "File"),
        _channel(CODE_CHANNEL, layout.code(request.code.digest).uri + "/", "File"),
    ]
    return [*ours, *(_input(request, name, item, layout, mode) for name, item in request.inputs.items())]


def _input(request: JobRequest, name: str, item: Input, layout: Layout, mode: str) -> dict[str, Any]:
    if not is_s3(item):
        return _channel(name, layout.data(data_name(item)).uri + "/", mode)
    if inputs.is_pattern(item.source):
        return _channel(name, manifest(request, layout, name), mode, "ManifestFile")
    return _channel(name, item.source, "File" if is_model_archive(request, name) else mode)


def data_name(item: Input) -> str:
    """The name of what is uploaded for an input: its version says what is in it, its basename how a file is called."""
    name = within(item)
    return names.short_digest([item.version or item.source, name], 40)


def manifest(request: JobRequest, layout: Layout, name: str) -> str:
    """The address of the list of objects that match an input's pattern."""
    return (layout.job(request.name) / "manifests" / f"{name}.json").uri


def _channel(name: str, uri: str, mode: str, kind: str = "S3Prefix") -> dict[str, Any]:
    source = {"S3DataType": kind, "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "InputMode": mode, "DataSource": {"S3DataSource": source}}


def stopping(request: JobRequest, options: SageMakerJobOptions | None) -> dict[str, int]:
    """The service's own bound around all attempts, which the container keeps to themselves."""
    longest: float = _LONGEST
    if request.spec.timeout is not None:
        longest = min(_MOST, _all_attempts(request.spec))
    found = {"MaxRuntimeInSeconds": math.ceil(longest)}
    if request.spec.resources.use_spot:
        wait = options.max_wait if options and options.max_wait else longest + _LONGEST
        found["MaxWaitTimeInSeconds"] = math.ceil(wait)
    return found


def _all_attempts(spec: StepSpec) -> float:
    """Seconds that all attempts of a job may take, with what is around them."""
    return ((spec.timeout or 0.0) + GRACE) * (spec.retries + 1) + _AROUND


def hyperparameters(request: JobRequest) -> dict[str, str]:
    """The parameters as the console shows them; the job reads them with their types from ``boot.json``.

    None where they do not fit.
    """
    found = {name: json.dumps(value, ensure_ascii=False) for name, value in request.spec.params.items()}
    fits = len(found) <= _ENTRIES and all(len(text) <= _PARAM_LENGTH for text in found.values())
    return found if fits else {}


def environment(request: JobRequest, region: str) -> dict[str, str]:
    """The variables in the description of the job; those that do not fit travel in ``boot.json``."""
    found = {key: value for key, value in request.spec.envs.items() if _fits_environment(request, key)}
    if request.secrets:
        found["CLOUDOPS_SECRET"] = names.secret_name("jobs", request.name)
        found["CLOUDOPS_REGION"] = region
    if request.spec.retries:
        found["CLOUDOPS_RETRIES"] = str(request.spec.retries)
    return found


def _fits_environment(request: JobRequest, key: str) -> bool:
    few = len(request.spec.envs) <= _ENTRIES - 5
    return few and len(key) <= _ENV_LENGTH and len(request.spec.envs[key]) <= _ENV_LENGTH


def _notes(request: JobRequest, native: Mapping[str, Any]) -> list[str]:
    step, notes = request.step, []
    if request.spec.timeout is None:
        notes.append(f"{step}: no timeout is set, so SageMaker ends the job after {_LONGEST // 3600} h")
    elif _all_attempts(request.spec) > _MOST:
        notes.append(f"{step}: SageMaker ends the job, with all its attempts, after {_MOST // 86400} days")
    if request.spec.params and not native["HyperParameters"]:
        notes.append(f"{step}.params: too many or too long for SageMaker's description; the job gets them all the same")
    if any(not _fits_environment(request, key) for key in request.spec.envs):
        notes.append(f"{step}.envs: some are too long for SageMaker's description; the job gets them all the same")
    fetched = [name for name, item in request.inputs.items() if item.is_uri and not is_s3(item)]
    notes += [f"{step}.inputs.{name}: fetched on this machine, then uploaded to S3" for name in fetched]
    return notes


def _check(request: JobRequest, options: SageMakerJobOptions | None) -> None:
    step, spec = request.step, request.spec
    if len(request.inputs) > _CHANNELS - 2:
        text = f"SageMaker takes {_CHANNELS - 2} inputs beside those of cloudops, not {len(request.inputs)}"
        raise InvalidRequest(text, provider="sagemaker").at(step, "inputs")
    if (spec.timeout or 0) > _MOST:
        text = f"SageMaker runs a job for {_MOST // 86400} days at most"
        hint = "set train.timeout: 28d or less, and resume from checkpoints by the same call again"
        raise InvalidRequest(text, provider="sagemaker", hint=hint.replace("train", step)).at(step, "timeout")
    if spec.retries and spec.resources.num_nodes > 1:
        raise UnsupportedFeature(
            "attempts are repeated in each container, and nodes that run together would not agree on them",
            provider="sagemaker",
            hint="set retries: 0 with num_nodes, or resume a failed job by the same call again",
        ).at(step, "retries")
    if options is None:
        return
    place = ("overrides", "sagemaker", step)
    if options.max_wait and not spec.resources.use_spot:
        raise ConfigError("has a meaning with resources.use_spot only").at(*place, "max_wait")
    if options.max_wait and options.max_wait < stopping(request, None)["MaxRuntimeInSeconds"]:
        least = stopping(request, None)["MaxRuntimeInSeconds"]
        raise ConfigError(f"expected at least {least}s, for what the job may run").at(*place, "max_wait")
    if options.keep_alive and spec.resources.use_spot:
        raise ConfigError("SageMaker keeps no spot machines; leave one of the two out").at(*place, "keep_alive")


def lineage_document(request: JobRequest) -> dict[str, Any]:
    """``lineage.json``, which lies beside what a job leaves."""
    return {**asdict(request.lineage), "requirements": request.requirements}


def shown(request: JobRequest, prepared: Prepared) -> dict[str, Any]:
    """The native request with what travels beside it, secrets masked; JSON values only."""
    native: dict[str, Any] = {"CreateTrainingJob": prepared.native, "boot.json": prepared.boot}
    if request.secrets:
        native["secrets"] = dict.fromkeys(request.secrets, "***")
    return dict(json.loads(json.dumps(native)))


def _key(name: str, value: str | None) -> dict[str, str]:
    return {name: value} if value else {}
