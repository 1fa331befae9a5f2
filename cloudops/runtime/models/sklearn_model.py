"""scikit-learn and whatever else predicts like it, from a joblib or pickle file."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudops.runtime.errors import BadRequest, Problem

from .rows import TensorSpec, as_lists, frame, matrix


def load(path: Path) -> SklearnModel:
    """The model in a joblib or pickle file. Such a file runs code when it is read: it must be trusted.

    Raises:
        Problem: what is in it has no ``predict``.
    """
    model = _unpickled(path)
    if not callable(getattr(model, "predict", None)):
        raise Problem(f"{path} holds a {type(model).__name__}, which has no predict(); set a predictor")
    return SklearnModel(model)


def _unpickled(path: Path) -> Any:
    try:
        import joblib
    except ModuleNotFoundError:
        if path.suffix == ".joblib":
            raise
        with path.open("rb") as file:
            return pickle.load(file)
    return joblib.load(path)


class SklearnModel:
    """Calls ``predict``: with a frame for a model that was fitted on named columns, else with an array.

    Objects are put in the order of the fitted columns. Single texts stay a list, as text pipelines want them.
    """

    framework = "sklearn"

    def __init__(self, model: Any) -> None:
        self._model = model
        names = getattr(model, "feature_names_in_", None)
        self._names = None if names is None else [str(name) for name in names]
        self._width = getattr(model, "n_features_in_", None)

    def inputs(self) -> list[TensorSpec]:
        """The columns, when they are numbers for sure: not those of a pipeline, which may encode text."""
        if hasattr(self._model, "steps") or self._width is None:
            return []
        if self._names is None:
            return [TensorSpec("input", "FP64", (-1, int(self._width)))]
        return [TensorSpec(name, "FP64", (-1,)) for name in self._names]

    def predict(self, rows: list[Any], parameters: Mapping[str, Any]) -> Any:
        """The model's ``predict``: labels of a classifier, values of a regressor.

        Raises:
            BadRequest: the rows do not fit the model, as far as it or scikit-learn can tell.
        """
        if parameters:
            raise BadRequest("this model takes no parameters")
        prepared = self._prepared(rows)
        try:
            return self._model.predict(prepared)
        except (ValueError, TypeError) as error:
            # The model and its library are fixed here: only the values can be wrong (a NaN, a text, a category).
            raise BadRequest(f"the model refuses these rows: {error}{_hint(prepared)}") from error

    def _prepared(self, rows: list[Any]) -> Any:
        if self._names is not None:
            table = frame(rows, self._names)
            return matrix(as_lists(rows, self._names)) if table is None else table
        if isinstance(rows[0], dict) and self._width is None:
            table = frame(rows, None)
            return rows if table is None else table
        values = as_lists(rows, None, self._width)
        if isinstance(values[0], list):
            return _array(values)
        return values if isinstance(values[0], str) else matrix([[value] for value in values])


def _hint(prepared: Any) -> str:
    """Which columns hold text: scikit-learn's own message seldom says."""
    if not hasattr(prepared, "dtypes"):
        return ""
    texts = [repr(name) for name, kind in prepared.dtypes.items() if kind.kind not in "biuf"]
    return f" (columns with text in these rows: {', '.join(texts[:10])})" if texts else ""


def _array(rows: list[list[Any]]) -> Any:
    """Numbers as an array of them; text among them (for an encoder in the model) as an array of objects."""
    import numpy as np

    if any(isinstance(value, str) for row in rows for value in row):
        return np.array(rows, dtype=object)
    return matrix(rows)
