"""Rows of a request as the arrays and frames that libraries take; what does not fit is the sender's to correct."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from cloudops.runtime.errors import BadRequest

_KINDS = {dict: "an object", list: "a list", object: "a single value"}


@dataclass(frozen=True)
class TensorSpec:
    """An input: its name, Open Inference Protocol datatype and shape, with -1 for the rows."""

    name: str
    datatype: str
    shape: tuple[int, ...]


def as_lists(rows: list[Any], names: Sequence[str] | None, width: int | None = None) -> list[Any]:
    """``rows`` with objects turned into lists in the order of ``names``, and single values as they are.

    Raises:
        BadRequest: rows are of different kinds, a column is missing, a list does not have ``width`` values, or
            objects come for a model that knows no names.
    """
    kind = _kind(rows[0])
    for number, row in enumerate(rows):
        if _kind(row) is not kind:
            raise BadRequest(f"row {number} is {_KINDS[_kind(row)]} and row 0 is {_KINDS[kind]}; send one kind of rows")
    if kind is dict:
        return [_ordered(row, number, names) for number, row in enumerate(rows)]
    expected = len(names) if names is not None else width
    for number, row in enumerate(rows if expected is not None else ()):
        if kind is list and len(row) != expected:
            raise BadRequest(f"row {number} has {len(row)} values, not {expected}{_hint(names)}")
        if kind is object and expected != 1:
            raise BadRequest(f"row {number} is a single value; it must have {expected}{_hint(names)}")
    return rows


def _kind(row: Any) -> type:
    return dict if isinstance(row, dict) else list if isinstance(row, list) else object


def _ordered(row: Mapping[str, Any], number: int, names: Sequence[str] | None) -> list[Any]:
    if names is None:
        raise BadRequest("this model knows no column names; send each row as a list of values")
    missing = [name for name in names if name not in row]
    if missing:
        raise BadRequest(f"row {number} lacks {', '.join(map(repr, missing[:10]))}{_hint(names)}")
    return [row[name] for name in names]


def matrix(rows: list[Any], dtype: Any = float) -> Any:
    """Lists of numbers as a NumPy array of ``dtype``; None becomes NaN.

    Raises:
        BadRequest: a value is not a number, or lists of one level differ in length.
    """
    import numpy as np

    try:
        array = np.asarray(rows)
        if array.dtype.kind in "US":
            raise BadRequest(_offender(rows))
        return array.astype(dtype)
    except (ValueError, TypeError, OverflowError) as error:
        if isinstance(error, BadRequest):
            raise
        raise BadRequest(_offender(rows)) from None


def frame(rows: list[Any], names: Sequence[str] | None) -> Optional[Any]:
    """Rows as a pandas frame, or None where pandas is not installed.

    Raises:
        BadRequest: see :func:`as_lists`.
    """
    try:
        import pandas as pd  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        return None
    if names is None and isinstance(rows[0], dict):
        table = pd.DataFrame(rows)
    else:
        table = pd.DataFrame(as_lists(rows, names), columns=None if names is None else list(names))
    empty = [name for name in table.columns if table[name].dtype == object and table[name].isna().all()]
    return table.astype(dict.fromkeys(empty, float))  # nothing but None: missing numbers


def _hint(names: Sequence[str] | None) -> str:
    """What the model wants, to be put behind a refusal."""
    if not names:
        return ""
    return f"; the model's columns are {', '.join(names[:30])}{', ...' if len(names) > 30 else ''}"


def _offender(rows: Any, place: str = "row") -> str:
    """A line that names the first value that is not a number."""
    for number, row in enumerate(rows):
        values = row if isinstance(row, list) else [row]
        for at, value in enumerate(values):
            if not isinstance(value, (int, float, type(None), list)):
                return f"row {number}, value {at} is {str(value)[:60]!r}, not a number"
    return "the rows are not numbers in lists of one shape"
