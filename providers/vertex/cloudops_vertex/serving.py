"""Pure functions: a deployment's request to a model, a deployed model and an endpoint of Vertex AI."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cloudops.errors import InvalidRequest, UnsupportedFeature

from . import images, machines, names, registry, scalings
from .jobs import RESERVED
from .names import Place

if TYPE_CHECKING:
    from cloudops.provider import DeployRequest

    from .jobs import Where
    from .machines import Machine
    from .options import VertexDeployOptions

#: The routes of a replica's server; those that Vertex AI would choose change with the id of what is deployed.
HEALTH, PREDICT = "/vertex/health", "/vertex/predict"
#: The kind of the secrets of versions.
SECRETS = "endpoints"
#: The name of a version.
VERSION = re.compile(r"[0-9a-f]{8}")
_PORT = 8080
#: Seconds for machines beside those in which the server has to answer, and the most that the service takes together.
_MACHINES, _LONGEST = 1800, 7200
#: Seconds between two looks whether a server is up, and those that its answer may take.
_PROBE, _PATIENCE = 5, 5
_PRICES = "https://cloud.google.com/vertex-ai/pricing#prediction-prices"
_ENTRIES = 95
#: The share of failed requests above which a canary is undone, where nothing is said.
ERROR_RATE = 0.05
#: Seconds in which Cloud Monitoring learns of requests, at the latest.
LATE = 240


@dataclass(frozen=True, slots=True)
class Served:
    """What a deployment's request becomes.

    Args:
        model: the Model, in the notation of the REST API.
        deployed: the DeployedModel, but for id and model.
        endpoint: the Endpoint, but for what it keeps of its rollout.
        inference: what the first process in the container reads.
        requirements: the requirements file in the container, or None.
        notes: what is emulated, or worth knowing.
        cost: one line.
    """

    model: dict[str, Any]
    deployed: dict[str, Any]
    endpoint: dict[str, Any]
    inference: dict[str, Any]
    requirements: str | None
    notes: tuple[str, ...]
    cost: str


def prepare(request: DeployRequest, where: Where, runtime: str, stub: str) -> Served:
    """What is created for a version.

    Args:
        request: of the core.
        where: of the project.
        runtime: the file name of the runtime's archive.
        stub: the program that the container starts with.

    Raises:
        ProviderError, ConfigError: something in the request has no place in Vertex AI; names the key.
    """
    options: VertexDeployOptions | None = request.options
    _check(request)
    spec = request.spec
    machine, notes = machines.choose("deploy", spec.resources, options.machine_type if options else None)
    image = images.choose("deploy", spec.framework, spec.image, where.location, gpu=machine.count > 0)
    requirements = "\n".join([*image.requirements, request.requirements or ""]).strip() or None
    deployed = _deployed(request, where, machine)
    return Served(
        model=_model(request, where, image.uri, stub, deployed),
        deployed=deployed,
        endpoint=_endpoint(request, where),
        inference=inference(request, where, runtime, requirements is not None),
        requirements=requirements,
        notes=(*notes, *([image.note] if image.note else []), *_notes(request, where)),
        cost=_cost(request, machine),
    )


def version_folder(request: DeployRequest, where: Where) -> Place:
    """Everything of a version in the bucket."""
    return where.layout.endpoint(request.endpoint) / request.version


def secret_name(endpoint: str, version: str) -> str:
    """What the secret of a version is called."""
    return f"{endpoint}-{version}"


def _model(request: DeployRequest, where: Where, image: str, stub: str, deployed: Mapping[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = {
        "imageUri": image,
        "command": ["python3", "-c"],
        "args": [stub],
        "env": _environment(request),
        "ports": [{"containerPort": _PORT}],
        "predictRoute": PREDICT,
        "healthRoute": HEALTH,
        "deploymentTimeout": f"{min(_LONGEST, math.ceil(request.spec.readiness_timeout) + _MACHINES)}s",
        # Until it is up, a server is not taken for dead: what it needs is installed and fetched before it listens.
        "startupProbe": {
            "httpGet": {"path": HEALTH, "port": _PORT},
            "periodSeconds": _PROBE,
            "timeoutSeconds": _PATIENCE,
            "failureThreshold": max(1, math.ceil(request.spec.readiness_timeout / _PROBE)),
        },
    }
    own = {names.ENDPOINT: request.endpoint, names.VERSION: request.version, names.PROJECT: request.project}
    return {
        "displayName": registry.model_id(request.endpoint, request.version),
        "description": json.dumps(deployed, sort_keys=True),
        "artifactUri": registry.artifact(version_folder(request, where)).uri,
        "containerSpec": container,
        "labels": {
            **where.settings.labels,
            **{key: names.label(value) for key, value in (own | _lineage(request)).items()},
        },
        **_encryption(where),
    }


def _lineage(request: DeployRequest) -> dict[str, str]:
    """Labels that say where a model comes from, and whether it has a secret."""
    found = {
        "cloudops_intent": str(request.model.lineage.get("intent", "")),
        "cloudops_code": request.code.digest if request.code else "",
        "cloudops_secret": "1" if request.secrets else "",
    }
    return {key: value for key, value in found.items() if value}


def _deployed(request: DeployRequest, where: Where, machine: Machine) -> dict[str, Any]:
    found: dict[str, Any] = {
        "displayName": request.version,
        "dedicatedResources": scalings.resources(request, machine),
    }
    if where.settings.service_account:
        found["serviceAccount"] = where.settings.service_account
    return found


def _endpoint(request: DeployRequest, where: Where) -> dict[str, Any]:
    own = {names.ENDPOINT: request.endpoint, names.PROJECT: request.project}
    found: dict[str, Any] = {
        "displayName": request.endpoint,
        "labels": {**where.settings.labels, **{key: names.label(value) for key, value in own.items()}},
        **_encryption(where),
    }
    options: VertexDeployOptions | None = request.options
    if options and options.dedicated_endpoint:
        found["dedicatedEndpointEnabled"] = True
        if options.inference_timeout is not None:
            found["clientConnectionConfig"] = {"inferenceTimeout": f"{math.ceil(options.inference_timeout)}s"}
    if options and options.private_to:
        found["privateServiceConnectConfig"] = {
            "enablePrivateServiceConnect": True,
            "projectAllowlist": list(options.private_to),
        }
    return found


def _encryption(where: Where) -> dict[str, Any]:
    return {"encryptionSpec": {"kmsKeyName": where.settings.kms_key}} if where.settings.kms_key else {}


def _environment(request: DeployRequest) -> list[dict[str, str]]:
    """The variables in the model's description; those that do not fit travel in ``inference.json``."""
    found = {key: value for key, value in request.spec.envs.items() if _is_described(request, key)}
    found["CLOUDOPS_MODEL_NAME"], found["CLOUDOPS_MODEL_VERSION"] = request.endpoint, request.version
    return [{"name": key, "value": value} for key, value in found.items()]


def _is_described(request: DeployRequest, key: str) -> bool:
    """Whether a variable can be in the description: there ``$(X)`` is replaced, and an empty value is no value."""
    value = request.spec.envs[key]
    return len(request.spec.envs) <= _ENTRIES and "$" not in value and value != ""


def inference(request: DeployRequest, where: Where, runtime: str, requirements: bool) -> dict[str, Any]:
    """What ``inference.py`` in the container reads."""
    secret = secret_name(request.endpoint, request.version)
    return {
        "runtime": runtime,
        "requirements": requirements,
        "predictor": request.predictor or "",
        "secret": names.secret_url(where.project, secret, SECRETS) if request.secrets else "",
        "env": {key: value for key, value in request.spec.envs.items() if not _is_described(request, key)},
    }


def _cost(request: DeployRequest, machine: Machine) -> str:
    count = request.spec.min_replicas
    shown = machine.shown if count == 1 else f"{count} x {machine.shown}"
    return f"{shown} for as long as it is deployed, and as much again while a version takes over; prices: {_PRICES}"


def _notes(request: DeployRequest, where: Where) -> list[str]:
    spec, notes = request.spec, []
    if spec.image is not None:
        notes.append("deploy.image: it needs python3 (3.9 or later)")
    if spec.traffic.canary is not None:
        notes.append(
            "deploy.traffic: Vertex AI watches no canary: whoever looks (`cloudops status`, waiting) moves it on"
        )
        if (spec.traffic.bake or 0) < LATE:
            notes.append(
                f"deploy.traffic.bake: requests show in Cloud Monitoring after up to {LATE} s; bake for longer"
            )
    if request.secrets and not where.settings.service_account:
        notes.append("deploy.secrets: replicas can read them as the target's service_account only, and none is named")
    return notes


def _check(request: DeployRequest) -> None:
    spec, traffic = request.spec, request.spec.traffic
    if spec.min_replicas < 1:
        text = "a model that is deployed to Vertex AI has one replica at least"
        raise UnsupportedFeature(text, provider="vertex", hint="set min_replicas: 1").at("deploy", "min_replicas")
    if traffic.canary is not None and not _whole(traffic.canary * 100):
        text = f"Vertex AI splits traffic in whole percents, from 1 to 99, not at {traffic.canary:.4%}"
        raise InvalidRequest(text, provider="vertex").at("deploy", "traffic", "canary")
    if spec.readiness_timeout > _LONGEST:
        raise InvalidRequest(f"Vertex AI waits {_LONGEST} s at most", provider="vertex").at(
            "deploy", "readiness_timeout"
        )
    for key in (*spec.envs, *spec.secrets):
        if RESERVED.fullmatch(key):
            where = "envs" if key in spec.envs else "secrets"
            text = f"the variable {key} is set by Vertex AI"
            raise InvalidRequest(text, provider="vertex", hint="choose another name").at("deploy", where)
    options: VertexDeployOptions | None = request.options
    if traffic.canary is not None and options and options.private_to:
        text = "Vertex AI splits no traffic of a private endpoint"
        raise UnsupportedFeature(text, provider="vertex", hint="leave one of the two out").at(
            "deploy", "traffic", "canary"
        )


def percents(shares: Mapping[str, float]) -> dict[str, int]:
    """Shares as Vertex AI takes them, without those that are none.

    Raises:
        InvalidRequest: they are no whole percents that add up to 100.
    """
    given = ", ".join(f"{version}={share:g}" for version, share in shares.items()) or "nothing"
    if not all(0 <= share <= 100 for share in shares.values()) or abs(sum(shares.values()) - 100) > 1e-4:
        raise InvalidRequest(f"expected percentages that add up to 100, got {given}", provider="vertex")
    if not all(_whole(share) for share in shares.values() if 0 < share < 100):
        raise InvalidRequest(f"Vertex AI splits traffic in whole percents, got {given}", provider="vertex")
    return {version: round(share) for version, share in shares.items() if share}


def _whole(percent: float) -> bool:
    return 1 <= round(percent) <= 99 and math.isclose(percent, round(percent), abs_tol=1e-6)
