"""MLflow models of any flavor that has a Python function."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudops.runtime.errors import BadRequest

from .rows import TensorSpec, as_lists, frame, matrix

# Open Inference Protocol's names of MLflow's column types
_TYPES = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
    "string": "BYTES",
    "binary": "BYTES",
    "datetime": "BYTES",
}
_FLOATS = {"float": "float32", "double": "float64"}


def load(path: Path) -> MlflowModel:
    """The MLflow model in the folder ``path``."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # a model server calls nobody
    import mlflow.pyfunc

    return MlflowModel(mlflow.pyfunc.load_model(str(path)))


class MlflowModel:
    """Calls the model's ``predict`` with a frame, in the types of its signature where it has one."""

    framework = "mlflow"

    def __init__(self, model: Any) -> None:
        self._model = model
        schema = model.metadata.get_input_schema()
        named = schema is not None and not schema.is_tensor_spec() and schema.has_input_names()
        self._types = {each.name: _type_name(each) for each in schema.inputs} if named else {}
        self._names = list(self._types) or None

    def inputs(self) -> list[TensorSpec]:
        """The columns of the signature that are of simple types."""
        return [TensorSpec(name, _TYPES[kind], (-1,)) for name, kind in self._types.items() if kind in _TYPES]

    def predict(self, rows: list[Any], parameters: Mapping[str, Any]) -> Any:
        """The model's prediction; ``parameters`` go to it as they are.

        Raises:
            BadRequest: MLflow finds that the rows or the parameters do not fit the signature.
        """
        from mlflow.exceptions import MlflowException

        try:
            return self._model.predict(self._prepared(rows), params=dict(parameters) or None)
        except MlflowException as error:
            raise BadRequest(str(error)[:500]) from error

    def _prepared(self, rows: list[Any]) -> Any:
        if self._names is None and not isinstance(rows[0], dict):
            return matrix(as_lists(rows, None))
        table: Any = frame(rows, self._names)  # MLflow brings pandas
        # JSON writes the float 1.0 as 1 when its sender does; MLflow would refuse such a column.
        whole = {
            name: _FLOATS[kind]
            for name, kind in self._types.items()
            if kind in _FLOATS and table[name].dtype.kind in "iu"
        }
        return table.astype(whole) if whole else table


def _type_name(column: Any) -> str:
    return str(getattr(column.type, "name", column.type))
