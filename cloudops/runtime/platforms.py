"""What each platform says about a job: its environment and its files, as one :class:`Contract`.

Every function here is pure but for the files that it reads; none needs to be right about a job that brings its own
``JOB.json``, which wins over all of this (:mod:`cloudops.runtime.contract`).

============  ==========================================================================================
sagemaker     ``/opt/ml`` (``input/config/*.json``, ``input/data/<channel>``, ``model``, ``output/data``,
              ``checkpoints``, ``output/failure``) and ``SM_CHANNEL_*``
azureml       ``AZURE_ML_INPUT_<name>``, ``AZURE_ML_OUTPUT_<name>``; an output called ``model`` or
              ``checkpoints`` is that folder, ``./outputs`` is kept by the platform
vertex        ``AIP_MODEL_DIR``, ``AIP_CHECKPOINT_DIR`` (``gs://b/x`` is mounted at ``/gcs/b/x``), ``CLUSTER_SPEC``
local         ``CLOUDOPS_*``, as the engine sets them; by hand, folders below the working directory
============  ==========================================================================================
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Optional

from .errors import Problem

_SAGEMAKER_PORT = 7777  # what SageMaker's own training driver uses
_TORCH_PORT = 29500  # torch.distributed's default

Environ = Mapping[str, str]


@dataclass(frozen=True)
class Contract:
    """Where a job finds things: local paths, its parameters, and its place among the ranks."""

    cloud: str
    model_dir: str
    output_dir: str
    checkpoint_dir: str
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    params: Mapping[str, Any] = field(default_factory=dict)
    rank: int = 0
    world_size: int = 1
    master_addr: str = "127.0.0.1"
    master_port: int = _TORCH_PORT
    failure_file: Optional[str] = None


def detect(environ: Environ, ml_root: Path) -> str:
    """The platform that this runs on: ``CLOUDOPS_CLOUD``, else what the environment gives away, else ``local``.

    Raises:
        Problem: ``CLOUDOPS_CLOUD`` names none of the platforms.
    """
    given = environ.get("CLOUDOPS_CLOUD")
    if given:
        if given not in PLATFORMS:
            raise Problem(f"CLOUDOPS_CLOUD is {given!r}; expected one of {', '.join(PLATFORMS)}")
        return given
    if "TRAINING_JOB_NAME" in environ or (ml_root / "input" / "config").is_dir():
        return "sagemaker"
    if "AZUREML_RUN_ID" in environ or any(key.startswith("AZURE_ML_") for key in environ):
        return "azureml"
    if "CLOUD_ML_JOB_ID" in environ or "AIP_MODEL_DIR" in environ:
        return "vertex"
    return "local"


def contract(environ: Environ, ml_root: Path) -> Contract:
    """The contract of the platform that this runs on.

    Raises:
        Problem: a file or a variable of the platform is not what its documentation says.
    """
    return PLATFORMS[detect(environ, ml_root)](environ, ml_root)


def mounted(path: str) -> str:
    """``gs://bucket/x`` as Vertex AI mounts it, ``/gcs/bucket/x``; any other path as it is."""
    return f"/gcs/{path[5:]}" if path.startswith("gs://") else path


def _local(environ: Environ, ml_root: Path) -> Contract:
    folders = {"CLOUDOPS_OUTPUT_DIR"}
    return Contract(
        cloud="local",
        model_dir=environ.get("CLOUDOPS_MODEL_DIR", "model"),
        output_dir=environ.get("CLOUDOPS_OUTPUT_DIR", "output"),
        checkpoint_dir=environ.get("CLOUDOPS_CHECKPOINT_DIR", "checkpoints"),
        inputs=_prefixed(environ, "CLOUDOPS_INPUT_"),
        outputs=_prefixed({k: v for k, v in environ.items() if k not in folders}, "CLOUDOPS_OUTPUT_"),
        params=_object(environ.get("CLOUDOPS_PARAMS") or "{}", "CLOUDOPS_PARAMS"),
        rank=_integer(environ, "CLOUDOPS_RANK", 0),
        world_size=_integer(environ, "CLOUDOPS_WORLD_SIZE", 1),
        master_addr=environ.get("CLOUDOPS_MASTER_ADDR", "127.0.0.1"),
        master_port=_integer(environ, "CLOUDOPS_MASTER_PORT", _TORCH_PORT),
    )


def _sagemaker(environ: Environ, ml_root: Path) -> Contract:
    config, data = ml_root / "input" / "config", ml_root / "input" / "data"
    channels = {name: str(data / name) for name in _file(config / "inputdataconfig.json")}
    resources = _file(config / "resourceconfig.json")
    hosts = sorted(resources.get("hosts") or ["127.0.0.1"], key=_host_order)
    current = resources.get("current_host", hosts[0])
    if current not in hosts:
        raise Problem(f"{config / 'resourceconfig.json'}: current_host {current!r} is not among its hosts")
    return Contract(
        cloud="sagemaker",
        model_dir=str(ml_root / "model"),
        output_dir=str(ml_root / "output" / "data"),
        checkpoint_dir=str(ml_root / "checkpoints"),
        inputs={**_prefixed(environ, "SM_CHANNEL_"), **channels},
        params={key: _decoded(text) for key, text in _file(config / "hyperparameters.json").items()},
        rank=hosts.index(current),
        world_size=len(hosts),
        master_addr=hosts[0],
        master_port=_SAGEMAKER_PORT,
        failure_file=str(ml_root / "output" / "failure"),
    )


def _azureml(environ: Environ, ml_root: Path) -> Contract:
    outputs = _prefixed(environ, "AZURE_ML_OUTPUT_", lower=False)
    return Contract(
        cloud="azureml",
        model_dir=outputs.get("model", os.path.join("outputs", "model")),
        output_dir=outputs.get("output", "outputs"),
        checkpoint_dir=outputs.get("checkpoints", os.path.join("outputs", "checkpoints")),
        inputs=_prefixed(environ, "AZURE_ML_INPUT_", lower=False),
        outputs=outputs,
        rank=_integer(environ, "RANK", _integer(environ, "NODE_RANK", 0)),
        world_size=_integer(environ, "WORLD_SIZE", _integer(environ, "AZUREML_NODE_COUNT", 1)),
        master_addr=environ.get("MASTER_ADDR", "127.0.0.1"),
        master_port=_integer(environ, "MASTER_PORT", _TORCH_PORT),
    )


def _vertex(environ: Environ, ml_root: Path) -> Contract:
    model = mounted(environ.get("AIP_MODEL_DIR", "model/"))
    base = os.path.dirname(model.rstrip("/"))
    rank, hosts = _cluster(_object(environ.get("CLUSTER_SPEC") or "{}", "CLUSTER_SPEC"))
    address, _, port = hosts[0].partition(":")
    return Contract(
        cloud="vertex",
        model_dir=model,
        output_dir=os.path.join(base, "output"),
        checkpoint_dir=mounted(environ.get("AIP_CHECKPOINT_DIR", os.path.join(base, "checkpoints"))),
        rank=rank,
        world_size=len(hosts),
        master_addr=address,
        master_port=int(port) if port.isdigit() else _TORCH_PORT,
    )


def _cluster(spec: Mapping[str, Any]) -> tuple[int, list[str]]:
    """This replica's rank and all hosts: the worker pools in order, the first of pool 0 is the master."""
    pools: Mapping[str, list[str]] = spec.get("cluster") or {}
    names = sorted(pool for pool in pools if pool.startswith("workerpool"))
    hosts = [host for name in names for host in pools[name]] or ["127.0.0.1"]
    task = spec.get("task") or {}
    if task.get("type") not in names:
        return 0, hosts
    before = sum(len(pools[name]) for name in names[: names.index(task["type"])])
    return before + int(task.get("index", 0)), hosts


def _prefixed(environ: Environ, prefix: str, *, lower: bool = True) -> dict[str, str]:
    found = {key[len(prefix) :]: value for key, value in environ.items() if key.startswith(prefix)}
    return {key.lower(): value for key, value in found.items()} if lower else found


def _integer(environ: Environ, name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    if not text.isdigit():
        raise Problem(f"{name} is {text!r}; expected a whole number")
    return int(text)


def _host_order(host: str) -> tuple[str, int]:
    """``algo-10`` comes after ``algo-2``."""
    stem = host.rstrip("0123456789")
    return stem, int(host[len(stem) :] or 0)


def _decoded(text: Any) -> Any:
    """A hyperparameter, which SageMaker carries as text: JSON where this loses nothing of how it was written."""
    try:
        value = json.loads(text)
    except (ValueError, TypeError):
        return text
    exact = isinstance(value, (str, list, dict)) or json.dumps(value) == text
    return value if exact else text


def _file(path: Path) -> dict[str, Any]:
    return _object(path.read_text(encoding="utf-8"), str(path)) if path.is_file() else {}


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Problem(f"{where} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Problem(f"{where} must hold a JSON object, not {type(value).__name__}")
    return value


PLATFORMS: Mapping[str, Callable[[Environ, Path], Contract]] = {
    "local": _local,
    "sagemaker": _sagemaker,
    "azureml": _azureml,
    "vertex": _vertex,
}
