"""Tensors of the Open Inference Protocol in JSON: from and to rows.

Requests: one tensor gives rows along its first axis (lists, or single values when it has one axis). Several tensors
are columns, named by their tensors; each row is an object. Responses: predictions that are single values or lists
become the tensor ``predictions``; objects become one tensor per key.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import Any

from cloudops.runtime.arrays import flattened, nested
from cloudops.runtime.errors import BadRequest, HttpError

_INTEGERS = {
    f"{sign}INT{bits}": ((0 if sign else -(2 ** (bits - 1))), 2 ** (bits if sign else bits - 1) - 1)
    for sign in ("", "U")
    for bits in (8, 16, 32, 64)
}
_FLOATS = {"FP16": 65504.0, "FP32": 3.4028235677973366e38, "FP64": sys.float_info.max}  # the largest of each
_EXPECTED: dict[str, set[type]] = {
    "BOOL": {bool},
    "BYTES": {str},
    **{name: {int, float, type(None)} for name in _FLOATS},  # None: a missing value
}
_BOUNDS: dict[str, tuple[float, float]] = {
    **_INTEGERS,
    **{name: (-largest, largest) for name, largest in _FLOATS.items()},
}
DATATYPES = ("BOOL", *_INTEGERS, *_FLOATS, "BYTES")


def to_rows(tensors: Any) -> list[Any]:
    """The rows in a request's ``inputs``.

    Raises:
        BadRequest: a tensor is not what the protocol says; the message names it.
    """
    if not isinstance(tensors, list) or not tensors:
        raise BadRequest("'inputs' must be a list of at least one tensor")
    columns = [_tensor(each, number) for number, each in enumerate(tensors)]
    if len(columns) == 1:
        return columns[0][1]
    names = [name for name, _ in columns]
    if len(set(names)) != len(names):
        raise BadRequest("two tensors of 'inputs' have the same name")
    count = len(columns[0][1])
    for name, values in columns:
        if len(values) != count:
            raise BadRequest(f"the tensor {name!r} has {len(values)} rows and {names[0]!r} has {count}")
    return [{name: _single(values[row]) for name, values in columns} for row in range(count)]


def from_predictions(predictions: list[Any]) -> list[dict[str, Any]]:
    """The ``outputs`` of a response.

    Raises:
        HttpError: 500 when the predictions differ in shape or kind, so that no tensor holds them.
    """
    if all(isinstance(each, dict) for each in predictions):
        names = list(predictions[0])
        if any(set(each) != set(names) for each in predictions):
            raise HttpError(500, "the predictions differ in their keys, so they are no tensors; use another route")
        return [_output(name, [each[name] for each in predictions]) for name in names]
    return [_output("predictions", predictions)]


def _tensor(value: Any, number: int) -> tuple[str, list[Any]]:
    if not isinstance(value, dict) or not isinstance(value.get("name"), str):
        raise BadRequest(f"tensor {number} of 'inputs' must be an object with a 'name'")
    name, shape, datatype = value["name"], value.get("shape"), value.get("datatype")
    if datatype not in DATATYPES:
        raise BadRequest(f"the tensor {name!r} has datatype {datatype!r}; expected one of {', '.join(DATATYPES)}")
    if not isinstance(shape, list) or not shape or not all(type(each) is int and each > 0 for each in shape):
        raise BadRequest(f"the tensor {name!r} must have a 'shape', a list of positive numbers, rows first")
    parameters = value.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise BadRequest(f"the 'parameters' of the tensor {name!r} must be an object")
    if "binary_data_size" in parameters or "data" not in value:
        raise BadRequest(f"the tensor {name!r} has no 'data'; binary tensors are not supported, send JSON")
    flat = _flat(value["data"], shape, name)
    _check(flat, datatype, name)
    return name, nested(_floats(flat) if datatype in _FLOATS else flat, shape)


def _flat(data: Any, shape: Sequence[int], name: str) -> list[Any]:
    """``data``, flat or nested in the tensor's shape, as one list."""
    if not isinstance(data, list):
        raise BadRequest(f"the 'data' of the tensor {name!r} must be a list")
    try:
        flat, given = flattened(data)
    except ValueError:
        raise BadRequest(f"the 'data' of the tensor {name!r} is ragged") from None
    if len(flat) != math.prod(shape) or (len(given) > 1 and list(given) != list(shape)):
        held = f"{len(flat)} values" if len(given) == 1 else f"shape {list(given)}"
        raise BadRequest(f"the tensor {name!r} has shape {shape}, and its data {held}")
    return flat


def _check(flat: Sequence[Any], datatype: str, name: str) -> None:
    kinds = set(map(type, flat))
    expected = _EXPECTED.get(datatype, {int})
    if not kinds <= expected:
        wrong = next(each for each in flat if type(each) not in expected)
        raise BadRequest(f"the tensor {name!r} is {datatype} and holds {str(wrong)[:60]!r}")
    low, high = _BOUNDS.get(datatype, (0, 0))
    wrong = next((each for each in flat if datatype in _BOUNDS and _outside(each, low, high)), None)
    if wrong is not None:
        raise BadRequest(f"the tensor {name!r} is {datatype}, which cannot hold {str(wrong)[:60]}")


def _outside(value: Any, low: float, high: float) -> bool:
    return (
        value is not None and not low <= value <= high and not (isinstance(value, float) and not math.isfinite(value))
    )


def _floats(flat: Sequence[Any]) -> list[Any]:
    return [None if each is None else float(each) for each in flat]


def _single(value: Any) -> Any:
    """A column given as a matrix of width 1 is a column of values."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _output(name: str, values: list[Any]) -> dict[str, Any]:
    try:
        flat, shape = flattened(values)
        datatype = _datatype(flat)
    except ValueError as error:
        raise HttpError(500, f"{error}, so they are no tensor; use another route") from None
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": flat}


def _datatype(flat: Sequence[Any]) -> str:
    kinds = {type(each) for each in flat}
    for datatype, allowed in (("BOOL", {bool}), ("INT64", {int}), ("BYTES", {str})):
        if kinds == allowed:
            return datatype
    if kinds <= {int, float, type(None)}:
        return "FP64"
    raise ValueError("these predictions are of different kinds")
