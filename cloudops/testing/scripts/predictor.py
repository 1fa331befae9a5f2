"""The predictor of the contracts: ``scale * (x + y)``. The row ``{"ask": ...}`` makes it do something else."""

# ruff: noqa: T201 - what a replica prints is its log

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
from typing import Any

from cloudops.runtime import BadRequest


def load(model_dir: str) -> dict[str, Any]:
    """Read ``model.json``; one that is ``unloadable`` cannot be loaded, one that is ``broken`` cannot predict.

    One that ``leaks`` a variable prints it, and cannot be loaded; the process of one that ``dies`` ends after so many
    seconds.
    """
    with open(os.path.join(model_dir, "model.json"), encoding="utf-8") as file:
        model: dict[str, Any] = json.load(file)
    if name := model.get("leaks"):
        _leak(name)
    if "dies" in model:
        threading.Timer(model["dies"], os._exit, (3,)).start()
    if model.get("unloadable"):
        raise RuntimeError("this model cannot be loaded")
    print("loaded a model of scale", model["scale"], flush=True)
    return model


def _leak(name: str) -> None:
    print("the secret is", os.environ[name], flush=True)
    raise RuntimeError("refused with " + os.environ[name])


def predict(model: dict[str, Any], instances: list[Any]) -> list[Any]:
    """One prediction for each row: an object with x and y, or a list of the two."""
    if model.get("broken"):
        raise RuntimeError("this model is broken")
    return [_one(model, row) for row in instances]


def _one(model: dict[str, Any], row: Any) -> Any:
    if isinstance(row, dict) and "ask" in row:
        return _asked(row)
    if isinstance(row, dict) and not {"x", "y"} <= set(row):
        raise BadRequest("a row needs the columns x and y")
    x, y = (row["x"], row["y"]) if isinstance(row, dict) else row
    return model["scale"] * (x + y)


def _asked(row: dict[str, Any]) -> Any:
    if row["ask"] == "fail":
        raise RuntimeError("asked to fail")
    if row["ask"] == "sleep":
        time.sleep(row["seconds"])
        return os.getpid()
    if row["ask"] == "leak":
        _leak(row["name"])
    if row["ask"] == "secret":
        return hashlib.sha256(os.environ[row["name"]].encode()).hexdigest()
    return os.environ.get(row["name"])
