"""Loads a model and predicts with it: through the user's predictor file, or by the kind of the model's file."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from .errors import BadRequest, Problem
from .models.rows import TensorSpec


class Model(Protocol):
    """What answers requests. ``predict`` may be called from several threads at once."""

    framework: str

    def inputs(self) -> list[TensorSpec]:
        """What the model takes, as far as it says."""

    def predict(self, rows: list[Any], parameters: Mapping[str, Any]) -> Any:
        """One prediction per row, in their order, of any type that :func:`.plain.plain` understands.

        Raises:
            BadRequest: the rows are not what the model takes.
        """


def load(predictor: Path | None, model_dir: Path) -> Model:
    """The model in ``model_dir``, ready to predict.

    Raises:
        Problem: there is none, or none that is understood, or the predictor file lacks a function.
        Exception: whatever loading it raises.
    """
    if predictor is not None:
        return FilePredictor(predictor, model_dir)
    from .models import find

    return find(model_dir)


class FilePredictor:
    """A Python file with ``load(model_dir)`` and ``predict(model, instances)``.

    ``preprocess(instances)`` and ``postprocess(predictions)`` are called around ``predict`` where the file has them;
    ``predict`` may take a third argument, the request's ``parameters``. The file's folder is on ``sys.path``, and it
    is imported under its own name, so that pickles which refer to its classes can be read.
    """

    framework = "predictor"

    def __init__(self, path: Path, model_dir: Path) -> None:
        self._module = _import(path)
        self._predict = _function(self._module, "predict", path, arguments=2)
        self._takes_parameters = _arguments(self._predict) > 2
        self._model = _function(self._module, "load", path, arguments=1)(str(model_dir))

    def inputs(self) -> list[TensorSpec]:
        """Unknown: the file decides."""
        return []

    def predict(self, rows: list[Any], parameters: Mapping[str, Any]) -> Any:
        """See :class:`Model`."""
        if parameters and not self._takes_parameters:
            raise BadRequest("this model takes no parameters")
        prepared = self._optional("preprocess", rows)
        extra = (dict(parameters),) if self._takes_parameters else ()
        return self._optional("postprocess", self._predict(self._model, prepared, *extra))

    def _optional(self, name: str, value: Any) -> Any:
        function = getattr(self._module, name, None)
        return value if function is None else function(value)


def _import(path: Path) -> ModuleType:
    name = path.stem if path.stem.isidentifier() and path.stem not in sys.modules else f"cloudops_predictor_{id(path)}"
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise Problem(f"the predictor {path} must be a .py file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _function(module: ModuleType, name: str, path: Path, *, arguments: int) -> Any:
    function = getattr(module, name, None)
    wanted = {"load": "load(model_dir)", "predict": "predict(model, instances)"}[name]
    if not callable(function):
        raise Problem(f"the predictor {path} has no function {wanted}")
    if _arguments(function) < arguments:
        raise Problem(f"the predictor {path} must define {wanted}; its {name} takes {_arguments(function)} arguments")
    return function


def _arguments(function: Any) -> int:
    """How many positional arguments ``function`` can take; ``*args`` counts as one."""
    kinds = [each.kind for each in inspect.signature(function).parameters.values()]
    return sum(kind in (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD) for kind in kinds)
