"""ONNX models, through onnxruntime."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudops.runtime.errors import BadRequest, Problem

from .rows import TensorSpec, as_lists, matrix

# onnxruntime's type -> NumPy's type, Open Inference Protocol's type
_TYPES = {
    "tensor(float16)": ("float16", "FP16"),
    "tensor(float)": ("float32", "FP32"),
    "tensor(double)": ("float64", "FP64"),
    "tensor(int8)": ("int8", "INT8"),
    "tensor(int16)": ("int16", "INT16"),
    "tensor(int32)": ("int32", "INT32"),
    "tensor(int64)": ("int64", "INT64"),
    "tensor(uint8)": ("uint8", "UINT8"),
    "tensor(uint16)": ("uint16", "UINT16"),
    "tensor(uint32)": ("uint32", "UINT32"),
    "tensor(uint64)": ("uint64", "UINT64"),
    "tensor(bool)": ("bool", "BOOL"),
    "tensor(string)": ("object", "BYTES"),
}


def load(path: Path) -> OnnxModel:
    """The model in ``path``; ``OMP_NUM_THREADS`` bounds its threads.

    Raises:
        Problem: an input is of a type other than a tensor.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    threads = os.environ.get("OMP_NUM_THREADS", "")
    options.intra_op_num_threads = int(threads) if threads.isdigit() else 0
    session = onnxruntime.InferenceSession(str(path), options, providers=onnxruntime.get_available_providers())
    return OnnxModel(session)


class OnnxModel:
    """Predicts the first output. A model with one input takes lists, one with several takes objects or lists."""

    framework = "onnx"

    def __init__(self, session: Any) -> None:
        self._session = session
        self._inputs = session.get_inputs()
        self._output = session.get_outputs()[0].name
        for each in self._inputs:
            if each.type not in _TYPES:
                raise Problem(f"the model's input {each.name!r} is a {each.type}; set a predictor for it")

    def inputs(self) -> list[TensorSpec]:
        """The model's inputs, with -1 for every length that it leaves open."""
        return [TensorSpec(each.name, _TYPES[each.type][1], _shape(each)) for each in self._inputs]

    def predict(self, rows: list[Any], parameters: Mapping[str, Any]) -> Any:
        """The model's first output.

        Raises:
            BadRequest: the rows do not fit the model's inputs.
        """
        if parameters:
            raise BadRequest("this model takes no parameters")
        try:
            return self._session.run([self._output], self._feeds(rows))[0]
        except Exception as error:
            if type(error).__name__ != "InvalidArgument":  # its module is private
                raise
            raise BadRequest(f"the model refuses these rows: {str(error)[:300]}") from error

    def _feeds(self, rows: list[Any]) -> dict[str, Any]:
        if len(self._inputs) == 1:
            only = self._inputs[0]
            named = [only.name] if isinstance(rows[0], dict) and only.name in rows[0] else None
            values = as_lists(rows, named)
            return {only.name: _tensor([row[0] for row in values] if named else values, only)}
        names = [each.name for each in self._inputs]
        table = as_lists(rows, names)
        return {each.name: _tensor([row[at] for row in table], each) for at, each in enumerate(self._inputs)}


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(length if isinstance(length, int) else -1 for length in tensor.shape)


def _tensor(values: list[Any], tensor: Any) -> Any:
    """The values of one input; single values become rows of one where the model wants a matrix."""
    import numpy as np

    kind = _TYPES[tensor.type][0]
    array = np.array(values, dtype=object) if kind == "object" else matrix(values, kind)
    shape = _shape(tensor)
    if array.ndim == 1 and len(shape) == 2:
        array = array.reshape(-1, 1)
    if array.ndim != len(shape) or any(want not in (-1, have) for want, have in list(zip(shape, array.shape))[1:]):  # noqa: B905
        raise BadRequest(f"each row of {tensor.name!r} must have shape {list(shape[1:])}, not {list(array.shape[1:])}")
    return array
