"""Pure functions: a deployment's request to what is created for it, and what SageMaker says of endpoints."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudops.errors import InvalidRequest, UnsupportedFeature

from . import images, machines, names, scalings
from .names import MAIN

if TYPE_CHECKING:
    from cloudops.provider import DeployRequest

    from .jobs import Where
    from .options import Asynchronous, SageMakerDeployOptions

_ENV_LENGTH, _ENTRIES = 1024, 100
_STARTUP, _LONGEST_BAKE, _MOST_CANARY = (60, 3600), 3600, 50
_EXECUTION = (600, 28800)
#: The name of a version.
VERSION = re.compile(r"[0-9a-f]{8}")
_NAME = re.compile(r"(?P<endpoint>.+)-(?:(?P<version>[0-9a-f]{8})-[0-9a-f]{6}|split-[0-9a-f]{8})(?P<scaled>-scaled)?")


@dataclass(frozen=True, slots=True)
class ConfigName:
    """What the name of an endpoint configuration tells.

    Args:
        text: the name.
        endpoint: whose.
        version: what it serves; empty where it splits traffic.
        scaled: whether its replicas are added and removed by themselves.
    """

    text: str
    endpoint: str
    version: str
    scaled: bool

    @classmethod
    def of(cls, request: DeployRequest, before: str, model: str) -> ConfigName:
        """For a version that takes over from the configuration ``before``: the same call again gives the same name."""
        return cls.alone(request.endpoint, request.version, before, model, scaled=scalings.of(request) is not None)

    @classmethod
    def alone(cls, endpoint: str, version: str, before: str, model: str, *, scaled: bool) -> ConfigName:
        """For a version that takes over from ``before``."""
        text = f"{endpoint}-{version}-{names.short_digest([before, model], 6)}"
        return cls.parse(f"{text}-scaled" if scaled else text)

    @classmethod
    def split(cls, endpoint: str, shares: Mapping[str, float], before: str, *, scaled: bool) -> ConfigName:
        """For a split of traffic that takes over from ``before``."""
        text = f"{endpoint}-split-{names.short_digest([sorted(shares.items()), before], 8)}"
        return cls.parse(f"{text}-scaled" if scaled else text)

    @classmethod
    def parse(cls, text: str) -> ConfigName:
        """From a name; one that is none of ours has no endpoint."""
        match = _NAME.fullmatch(text)
        if match is None:
            return cls(text, "", "", False)
        return cls(text, match["endpoint"], match["version"] or "", bool(match["scaled"]))


@dataclass(frozen=True, slots=True)
class Served:
    """What a deployment's request becomes, but for the address of its artifact.

    Args:
        model: the request of CreateModel, ``ModelDataUrl`` left out.
        variant: the one variant of the endpoint configuration.
        capture: ``DataCaptureConfig``, or None.
        requirements: of the replicas, or None.
        notes: what is emulated, or worth knowing.
        cost: one line.
    """

    model: dict[str, Any]
    variant: dict[str, Any]
    capture: dict[str, Any] | None
    requirements: str | None
    notes: tuple[str, ...]
    cost: str


def prepare(request: DeployRequest, where: Where) -> Served:
    """What is created for a version.

    Raises:
        ProviderError, ConfigError: something in the request has no place in SageMaker; names the key.
    """
    options: SageMakerDeployOptions | None = request.options
    _check(request, options)
    spec, serverless = request.spec, options.serverless if options else None
    notes: list[str] = []
    machine = machines.DEFAULT
    if serverless is not None and where.settings.subnets:
        text = "SageMaker runs no serverless endpoint in a VPC, and the target names subnets"
        raise UnsupportedFeature(text, provider="sagemaker").at("overrides", "sagemaker", "deploy", "serverless")
    if serverless is None:
        machine, notes = machines.choose(
            "deploy", spec.resources, options.instance_type if options else None, hosting=True
        )
    image = images.choose("deploy", spec.framework, spec.image, where.region, machine, inference=True)
    requirements = "\n".join([*image.requirements, request.requirements or ""]).strip() or None
    model = _model(request, where, image)
    variant = _variant(request, options, machine, model["ModelName"])
    if serverless is not None:
        cost = f"serverless, {serverless.memory} MB: billed by the request, see {machines.PRICES[1]}"
    else:
        cost = machines.price(machine, spec.min_replicas)
    if serverless is not None and where.settings.volume_kms_key:
        notes = [*notes, "deploy: volume_kms_key is left out: a serverless endpoint has no volume of its own"]
    return Served(model, variant, capture(request, where), requirements, tuple(notes + _notes(request, image)), cost)


def _model(request: DeployRequest, where: Where, image: images.Image) -> dict[str, Any]:
    settings = where.settings
    body: dict[str, Any] = {
        "ExecutionRoleArn": where.role,
        "PrimaryContainer": {"Image": image.uri, "Environment": environment(request, where.region)},
    }
    if settings.subnets:
        body["VpcConfig"] = {"Subnets": settings.subnets, "SecurityGroupIds": settings.security_group_ids}
    name = f"{request.endpoint}-{request.version}-{names.short_digest(body, 6)}"
    return {"ModelName": name, **body, "Tags": version_tags(request, settings.tags)}


def environment(request: DeployRequest, region: str) -> dict[str, str]:
    """The variables of the replicas.

    Raises:
        InvalidRequest: one is longer than SageMaker takes, or there are too many.
    """
    secret = secret_name(request.endpoint, request.version) if request.secrets else ""
    return hook_variables(
        "deploy",
        request.spec.envs,
        region,
        name=request.endpoint,
        version=request.version,
        predictor=request.predictor,
        secret=secret,
    )


def hook_variables(
    step: str, envs: Mapping[str, str], region: str, *, name: str, version: str, predictor: str | None, secret: str
) -> dict[str, str]:
    """The variables of a container that answers through inference.py.

    Args:
        step: for errors.
        envs: the spec's own.
        region: where the secret is.
        name: of the model, as the runtime tells it.
        version: likewise.
        predictor: the predictor's file name, or None.
        secret: the name of the secret with the spec's secrets; empty for none.

    Raises:
        InvalidRequest: one is longer than SageMaker takes, or there are too many.
    """
    for key, value in envs.items():
        if len(value) > _ENV_LENGTH:
            text = f"SageMaker takes {_ENV_LENGTH} characters, not {len(value)}"
            raise InvalidRequest(text, provider="sagemaker", hint="put it into a file").at(step, "envs", key)
    found = {
        "SAGEMAKER_PROGRAM": "inference.py",
        "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code",
        "SAGEMAKER_REGION": region,
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
        **envs,
        "CLOUDOPS_CLOUD": "sagemaker",
        "CLOUDOPS_MODEL_NAME": name,
        "CLOUDOPS_MODEL_VERSION": version,
    }
    if predictor is not None:
        found["CLOUDOPS_PREDICTOR"] = predictor
    if secret:
        found["CLOUDOPS_SECRET"] = secret
        found["CLOUDOPS_REGION"] = region
    if len(found) > _ENTRIES:
        text = f"SageMaker takes {_ENTRIES} variables beside {len(found) - len(envs)} of cloudops' own"
        raise InvalidRequest(text, provider="sagemaker").at(step, "envs")
    return found


def secret_name(endpoint: str, version: str) -> str:
    """The secret of a version."""
    return names.secret_name("endpoints", f"{endpoint}/{version}")


def _variant(
    request: DeployRequest, options: SageMakerDeployOptions | None, machine: str, model: str
) -> dict[str, Any]:
    variant: dict[str, Any] = {"VariantName": MAIN, "ModelName": model, "InitialVariantWeight": 1.0}
    if options and options.serverless:
        serverless = options.serverless
        config = {"MemorySizeInMB": serverless.memory, "MaxConcurrency": serverless.max_concurrency}
        if serverless.provisioned_concurrency:
            config["ProvisionedConcurrency"] = serverless.provisioned_concurrency
        return {**variant, "ServerlessConfig": config}
    variant |= {
        "InstanceType": machine,
        "InitialInstanceCount": request.spec.min_replicas,
        "ContainerStartupHealthCheckTimeoutInSeconds": startup(request),
    }
    if options and options.download_timeout:
        variant["ModelDataDownloadTimeoutInSeconds"] = math.ceil(options.download_timeout)
    return variant


def startup(request: DeployRequest) -> int:
    """Seconds that a replica may take to answer; the service takes no less than a minute."""
    return max(_STARTUP[0], math.ceil(request.spec.readiness_timeout))


def capture(request: DeployRequest, where: Where) -> dict[str, Any] | None:
    """Which requests are kept, and where."""
    if request.spec.capture is None:
        return None
    place = where.layout.endpoint(request.endpoint) / "capture" / request.version
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": round(request.spec.capture.sample * 100),
        "DestinationS3Uri": place.uri,
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"], "CsvContentTypes": ["text/csv"]},
        **({"KmsKeyId": where.settings.output_kms_key} if where.settings.output_kms_key else {}),
    }


def config_request(
    request: DeployRequest, served: Served, where: Where, name: ConfigName, before: str
) -> dict[str, Any]:
    """The request of CreateEndpointConfig for one version.

    Args:
        request: of the core.
        served: what it became.
        where: of the account.
        name: of the configuration.
        before: the configuration that is live now, to which a rollback goes; empty for none.
    """
    options: SageMakerDeployOptions | None = request.options
    scaling = scalings.of(request)
    tags = {"previous": before, **(scaling.tags(MAIN) if scaling else {})}
    native: dict[str, Any] = {"EndpointConfigName": name.text, "ProductionVariants": [served.variant]}
    if served.capture is not None:
        native["DataCaptureConfig"] = served.capture
    if options is not None and options.asynchronous is not None:
        native["AsyncInferenceConfig"] = _asynchronous(request, options.asynchronous, where)
    if where.settings.volume_kms_key and "ServerlessConfig" not in served.variant:
        native["KmsKeyId"] = where.settings.volume_kms_key
    return {**native, "Tags": version_tags(request, where.settings.tags, tags)}


def _asynchronous(request: DeployRequest, options: Asynchronous, where: Where) -> dict[str, Any]:
    """Where answers of the queue go; requests lie beside them."""
    place = where.layout.endpoint(request.endpoint) / "async"
    key = {"KmsKeyId": where.settings.output_kms_key} if where.settings.output_kms_key else {}
    output = {"S3OutputPath": (place / "answers").uri, "S3FailurePath": (place / "failures").uri, **key}
    clients = {"MaxConcurrentInvocationsPerInstance": options.max_concurrency} if options.max_concurrency else {}
    return {"OutputConfig": output, **({"ClientConfig": clients} if clients else {})}


def version_tags(request: DeployRequest, own: Mapping[str, str], more: Mapping[str, str] | None = None) -> list[Any]:
    """The tags of what is made for a version."""
    lineage = request.model.lineage
    values = {
        "project": request.project,
        "step": "deploy",
        "endpoint": request.endpoint,
        "version": request.version,
        "model": str(request.model.ref or request.model.location),
        "intent": str(lineage.get("intent", "")),
        "code": request.code.digest if request.code else "",
        **(more or {}),
    }
    return names.tags(values, own)


def deployment_config(request: DeployRequest, alarm: str) -> dict[str, Any]:
    """How an update goes: all at once, or a canary that an alarm undoes."""
    traffic, bake = request.spec.traffic, math.ceil(request.spec.traffic.bake or 0)
    routing: dict[str, Any] = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": bake}
    if traffic.canary is not None:
        size = {"Type": "CAPACITY_PERCENT", "Value": round(traffic.canary * 100)}
        routing = {"Type": "CANARY", "CanarySize": size, "WaitIntervalInSeconds": bake}
    options: SageMakerDeployOptions | None = request.options
    download = (options and options.download_timeout) or 1200
    longest = startup(request) + download + 2 * bake + _EXECUTION[0]
    found: dict[str, Any] = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": 0,
            "MaximumExecutionTimeoutInSeconds": math.ceil(min(_EXECUTION[1], longest)),
        }
    }
    if traffic.canary is not None:
        found["AutoRollbackConfiguration"] = {"Alarms": [{"AlarmName": alarm}]}
    return found


def _notes(request: DeployRequest, image: images.Image) -> list[str]:
    spec, notes = request.spec, [image.note] if image.note else []
    if spec.readiness_timeout < _STARTUP[0]:
        notes.append(f"deploy.readiness_timeout: SageMaker waits {_STARTUP[0]} s at least")
    if spec.traffic.canary is not None and (spec.traffic.bake or 0) < 60:
        notes.append("deploy.traffic.bake: the alarm on errors looks at whole minutes; bake for one at least")
    if spec.capture is not None and spec.capture.sample * 100 != round(spec.capture.sample * 100):
        notes.append(f"deploy.capture.sample: SageMaker takes whole percents: {round(spec.capture.sample * 100)}%")
    if spec.image is not None and request.predictor is not None:
        notes.append("deploy.predictor: it lies in /opt/ml/model/code; whether the image's server uses it is its own")
    return notes


def _check(request: DeployRequest, options: SageMakerDeployOptions | None) -> None:
    spec, traffic = request.spec, request.spec.traffic
    if traffic.canary is not None and not 1 <= round(traffic.canary * 100) <= _MOST_CANARY:
        text = f"SageMaker takes a canary of 1% to {_MOST_CANARY}%"
        raise InvalidRequest(text, provider="sagemaker").at("deploy", "traffic", "canary")
    if (traffic.bake or 0) > _LONGEST_BAKE:
        raise InvalidRequest("SageMaker watches for an hour at most", provider="sagemaker").at(
            "deploy", "traffic", "bake"
        )
    if spec.readiness_timeout > _STARTUP[1]:
        text = f"SageMaker waits {_STARTUP[1]} s at most"
        raise InvalidRequest(text, provider="sagemaker").at("deploy", "readiness_timeout")
    if spec.capture is not None and round(spec.capture.sample * 100) < 1 and spec.capture.sample > 0:
        text = "SageMaker keeps 1% of the requests at least"
        raise InvalidRequest(text, provider="sagemaker").at("deploy", "capture", "sample")
    if options is not None and options.serverless is not None:
        _check_serverless(request)
    if options is not None and options.asynchronous is not None and spec.capture is not None:
        text = "SageMaker captures no requests of an asynchronous endpoint; they and their answers lie in S3 anyway"
        raise UnsupportedFeature(text, provider="sagemaker", hint="leave capture out").at("deploy", "capture")


def _check_serverless(request: DeployRequest) -> None:
    spec = request.spec
    asked = (
        (("capture",), spec.capture is not None),
        (("traffic", "canary"), spec.traffic.canary is not None),
        (("max_replicas",), (spec.max_replicas or 1) > 1),
        (("min_replicas",), spec.min_replicas > 1),
        (("resources", "accelerators"), spec.resources.accelerators is not None),
        (("resources", "cpus"), spec.resources.cpus is not None),
        (("resources", "memory"), spec.resources.memory is not None),
        (("resources", "instance_type"), spec.resources.instance_type is not None),
    )
    for place, is_asked in asked:
        if is_asked:
            text, hint = "a serverless endpoint of SageMaker has no such thing", "leave it, or serverless, out"
            raise UnsupportedFeature(text, provider="sagemaker", hint=hint).at("deploy", *place)


def check_shares(shares: Mapping[str, float]) -> None:
    """Raise InvalidRequest for what are no percentages that add up to 100."""
    if not all(0 <= share <= 100 for share in shares.values()) or abs(sum(shares.values()) - 100) > 1e-4:
        given = ", ".join(f"{version}={share:g}" for version, share in shares.items()) or "nothing"
        raise InvalidRequest(f"expected percentages that add up to 100, got {given}", provider="sagemaker")


def variant_name(version: str) -> str:
    """The variant of one of several versions."""
    return f"v-{version}"


def version_of(variant: str, config: ConfigName) -> str:
    """The version of a variant in a configuration."""
    return variant.removeprefix("v-") if variant.startswith("v-") else config.version
