"""JSON bodies: ``{"instances": [...]}`` or a bare list; MLflow's and Azure's spellings of a table are read as well.

A row is an object ``{column: value}``, a list of values, or a single value; all rows of a request are of one kind,
and lists are of one length.

=====================================================  ======================================================
``{"instances": rows, "parameters": {...}}``, ``rows``  Vertex AI, TensorFlow Serving, this runtime
``{"dataframe_records": rows}``                         MLflow
``{"dataframe_split": {"columns", "data"}}``            MLflow
``{"input_data": rows or {"columns", "data"}}``         Azure ML
=====================================================  ======================================================
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudops.runtime.errors import BadRequest

_ROWS = ("instances", "dataframe_records", "dataframe_split", "input_data")


@dataclass(frozen=True)
class Batch:
    """The rows of a request, and what its sender says about how to predict."""

    rows: list[Any]
    parameters: Mapping[str, Any] = field(default_factory=dict)


def document(body: bytes) -> Any:
    """The JSON value of ``body``.

    Raises:
        BadRequest: it is none.
    """
    try:
        return json.loads(body)
    except RecursionError:
        raise BadRequest("the body is nested too deeply") from None
    except ValueError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None


def read(body: bytes, _parameters: Mapping[str, str]) -> Batch:
    """The rows of a JSON body.

    Raises:
        BadRequest: it is not JSON, has no rows, or rows of different kinds or lengths.
    """
    value = document(body)
    if isinstance(value, list):
        return Batch(checked(value))
    if not isinstance(value, dict):
        raise BadRequest(f"the body must be an object with 'instances', or a list of rows, not {_shown(value)}")
    given = [name for name in _ROWS if name in value]
    if len(given) != 1:
        raise BadRequest(
            "the body must have 'instances', a list of rows" if not given else f"both of {given} are given"
        )
    parameters = value.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise BadRequest(f"'parameters' must be an object, not {_shown(parameters)}")
    rows = value[given[0]]
    return Batch(checked(_split(rows, given[0]) if isinstance(rows, dict) else rows, given[0]), parameters)


def write(predictions: list[Any]) -> bytes:
    """``{"predictions": [...]}``."""
    return json.dumps({"predictions": predictions}, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")


def checked(rows: Any, name: str = "instances") -> list[Any]:
    """``rows``, if they are a list of at least one row, all of one kind, and lists of one length.

    Raises:
        BadRequest: they are not; the message names the row.
    """
    if not isinstance(rows, list):
        raise BadRequest(f"{name!r} must be a list of rows, not {_shown(rows)}")
    if not rows:
        raise BadRequest(f"{name!r} is empty; send at least one row")
    kind = _kind(rows[0])
    for number, row in enumerate(rows):
        if _kind(row) != kind:
            raise BadRequest(f"row {number} is {_kind(row)} and row 0 is {kind}; all rows must be of one kind")
    if kind == "a list":
        _same_length(rows)
    return rows


def _same_length(rows: Sequence[Sequence[Any]]) -> None:
    for number, row in enumerate(rows):
        if len(row) != len(rows[0]):
            raise BadRequest(f"row {number} has {len(row)} values and row 0 has {len(rows[0])}")


def _split(table: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    columns, data = table.get("columns"), table.get("data")
    if not isinstance(columns, list) or not isinstance(data, list):
        raise BadRequest(f"{name!r} must be a list of rows or have 'columns' and 'data', two lists")
    for number, row in enumerate(data):
        if not isinstance(row, list) or len(row) != len(columns):
            raise BadRequest(f"row {number} of {name!r} must be a list of {len(columns)} values, one per column")
    return [{str(column): value for column, value in zip(columns, row)} for row in data]  # noqa: B905 - Python 3.9


def _kind(row: Any) -> str:
    return "an object" if isinstance(row, dict) else "a list" if isinstance(row, list) else "a single value"


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
