"""What a job may ask about itself; outside a job each answer is what a run by hand would want."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from .names import variable


def input_path(name: str) -> Path:
    """The local path of the input ``name``.

    Raises:
        LookupError: there is no such input; the message says which variable to set in a run by hand.
    """
    return Path(_required("INPUT", name))


def output_dir(name: str | None = None) -> Path:
    """The folder of the output ``name``, or without a name the folder of everything that the job leaves behind.

    Outside a job the latter is ``./output``, created.

    Raises:
        LookupError: there is no output of that name.
    """
    return _folder("OUTPUT_DIR", "output") if name is None else Path(_required("OUTPUT", name))


def model_dir() -> Path:
    """The folder whose content becomes the model version; outside a job ``./model``, created."""
    return _folder("MODEL_DIR", "model")


def checkpoint_dir() -> Path:
    """The folder that survives a restart of the job; outside a job ``./checkpoints``, created."""
    return _folder("CHECKPOINT_DIR", "checkpoints")


def params() -> dict[str, Any]:
    """The job's parameters by name, with their types; empty outside a job."""
    values = json.loads(os.environ.get("CLOUDOPS_PARAMS") or "{}")
    return dict(values)


def rank() -> int:
    """The number of this process among those that run the job together, from 0; ``torchrun`` numbers its own."""
    return _number("RANK", 0)


def world_size() -> int:
    """How many processes run the job together."""
    return _number("WORLD_SIZE", 1)


def cloud() -> str:
    """Where this runs: ``local``, ``sagemaker``, ``azureml`` or ``vertex``."""
    return os.environ.get("CLOUDOPS_CLOUD") or "local"


def _number(name: str, default: int) -> int:
    # RANK and WORLD_SIZE equal ours at the start of a job; a launcher such as torchrun sets its own in its children.
    text = os.environ.get(name) or os.environ.get(f"CLOUDOPS_{name}") or ""
    return int(text) if text.isdigit() else default


def _folder(suffix: str, default: str) -> Path:
    given = os.environ.get(f"CLOUDOPS_{suffix}")
    if given:
        return Path(given)
    folder = Path.cwd() / default
    folder.mkdir(exist_ok=True)
    return folder


def _required(kind: str, name: str) -> str:
    key = variable(kind, name)
    if key in os.environ:
        return os.environ[key]
    prefix = f"CLOUDOPS_{kind}_"
    known = sorted(
        each[len(prefix) :].lower() for each in os.environ if each.startswith(prefix) and each != "CLOUDOPS_OUTPUT_DIR"
    )
    listed = f"it has {', '.join(known)}" if known else f"it has no {kind.lower()}s"
    raise LookupError(f"the job has no {kind.lower()} {name!r} ({listed}); to run by hand, set {key} to a path")
