"""XGBoost boosters, from ``.ubj`` or ``.json`` files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudops.runtime.errors import BadRequest

from .rows import TensorSpec, as_lists, matrix


def load(path: Path) -> XGBoostModel:
    """The booster in ``path``."""
    import xgboost

    return XGBoostModel(xgboost.Booster(model_file=str(path)))


class XGBoostModel:
    """Predicts what the booster's objective gives: a probability, one per class, or a value. None is missing."""

    framework = "xgboost"

    def __init__(self, booster: Any) -> None:
        self._booster = booster
        self._names = booster.feature_names
        self._width = booster.num_features()

    def inputs(self) -> list[TensorSpec]:
        """The columns by name, or one matrix."""
        if self._names is None:
            return [TensorSpec("input", "FP32", (-1, self._width))]
        return [TensorSpec(name, "FP32", (-1,)) for name in self._names]

    def predict(self, rows: list[Any], parameters: Mapping[str, Any]) -> Any:
        """The booster's prediction; safe in several threads for tree boosters, says XGBoost's documentation.

        Raises:
            BadRequest: the rows do not fit the booster.
        """
        import xgboost

        if parameters:
            raise BadRequest("this model takes no parameters")
        values = as_lists(rows, self._names, self._width)
        table = matrix(values if isinstance(values[0], list) else [[value] for value in values], "float32")
        if table.shape[1:] != (self._width,):
            raise BadRequest(f"each row must have {self._width} numbers")
        return self._booster.predict(xgboost.DMatrix(table, feature_names=self._names))
