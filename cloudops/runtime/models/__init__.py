"""Models without a predictor file: the kind of file in the model's folder decides which library loads it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from cloudops.runtime.errors import Problem

if TYPE_CHECKING:
    from cloudops.runtime.predictor import Model

_PACKAGES = {"sklearn": "scikit-learn"}  # where pip's name is not the module's


@dataclass(frozen=True)
class Kind:
    """A kind of model: file names that give it away, and the module here whose ``load(path)`` reads it."""

    label: str
    patterns: tuple[str, ...]
    module: str


_KINDS = (
    Kind("MLflow", ("MLmodel",), "mlflow_model"),
    Kind("scikit-learn (joblib or pickle)", ("*.joblib", "*.pkl", "*.pickle"), "sklearn_model"),
    Kind("XGBoost", ("*.ubj", "*.json"), "xgboost_model"),
    Kind("ONNX", ("*.onnx",), "onnx_model"),
    Kind("TorchScript", ("*.pt", "*.pts"), "torch_model"),
)


def find(model_dir: Path) -> Model:
    """The model in ``model_dir``, which may also be the model's file itself.

    One folder with nothing beside it is entered (Azure ML and MLflow nest them). Of several files the one called
    ``model.*`` is taken; a JSON file counts only when it holds an XGBoost model.

    Raises:
        Problem: there is none, there are several, or the library for it is not installed; one line says which.
        Exception: whatever the library raises.
    """
    kind, path = _chosen(model_dir)
    loader = importlib.import_module(f".{kind.module}", __name__)
    try:
        model: Model = loader.load(path)
    except ModuleNotFoundError as error:
        module = (error.name or "").split(".")[0]
        package = _PACKAGES.get(module, module)
        raise Problem(
            f"{path} ({kind.label}) needs {package}, which is not installed; add it to requirements"
        ) from error
    return model


def _chosen(model_dir: Path) -> tuple[Kind, Path]:
    root, names = _root(model_dir)
    found = [(kind, path) for path in names for kind in _KINDS if _matches(kind, path)]
    mlflow = [each for each in found if each[1].name == "MLmodel"]
    if mlflow:
        return mlflow[0][0], root
    if len(found) > 1:
        found = [each for each in found if each[1].stem == "model"] or found
    if len(found) == 1:
        return found[0]
    if found:
        names_found = ", ".join(path.name for _, path in found)
        raise Problem(f"{root} has several models ({names_found}); name one of them model.*, or set a predictor")
    raise Problem(f"{root} has no model that is understood ({_content(names)}); {_understood()}, or set a predictor")


def _root(model_dir: Path) -> tuple[Path, list[Path]]:
    if model_dir.is_file():
        return model_dir.parent, [model_dir]
    if not model_dir.is_dir():
        raise Problem(f"the model's folder {model_dir} does not exist; set CLOUDOPS_MODEL_DIR")
    entries = sorted(path for path in model_dir.iterdir() if not path.name.startswith("."))
    if len(entries) == 1 and entries[0].is_dir():
        return _root(entries[0])
    return model_dir, [path for path in entries if path.is_file()]


def _matches(kind: Kind, path: Path) -> bool:
    if not any(fnmatchcase(path.name, pattern) for pattern in kind.patterns):
        return False
    if path.suffix != ".json":
        return True
    with path.open("rb") as file:  # XGBoost writes its keys in order, and "learner" comes first
        return b'"learner"' in file.read(256)


def _content(paths: list[Path]) -> str:
    names = [path.name for path in paths]
    return f"it holds {', '.join(names[:10])}{', ...' if len(names) > 10 else ''}" if names else "it is empty"


def _understood() -> str:
    return "understood are " + ", ".join(_labels())


def _labels() -> Iterator[str]:
    for kind in _KINDS:
        yield f"{kind.label}: {' '.join(kind.patterns)}"
