"""Turns what a model returns into what JSON can hold."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

_AS_IT_IS = (str, int, bool, type(None))


def plain(value: Any) -> Any:
    """``value`` as lists, dicts with text keys, texts, numbers, booleans and None.

    NumPy arrays and scalars, pandas frames (as rows of dicts), series and timestamps, tensors, tuples, sets, bytes
    (UTF-8) and dates are understood; NaN and infinities become None.

    Raises:
        TypeError: there is something else in it.
    """
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if kind in _AS_IT_IS:
        return value
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(each) for each in value]
    return _converted(value)


def dumps(value: Any) -> str:
    """``value``, of plain types already, as one line of JSON; NaN and infinities become null.

    Raises:
        TypeError: there is something in it that JSON cannot hold.
    """
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:  # looked for only now, since it is rare and looking costs more than writing
        return json.dumps(plain(value), ensure_ascii=False, allow_nan=False)


def _converted(value: Any) -> Any:
    if isinstance(value, (str, int, float)):  # subclasses: an Enum's value, numpy.float64, numpy.str_
        return plain(_base(value)(value))
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).decode("utf-8", "replace")
    if hasattr(value, "detach"):  # a PyTorch tensor
        return plain(value.detach().cpu().tolist())
    if hasattr(value, "to_dict") and hasattr(value, "columns"):  # a pandas frame
        return plain(value.to_dict("records"))
    if hasattr(value, "isoformat"):  # dates; before tolist, which a pandas timestamp lacks and an array has
        return None if value != value else value.isoformat()
    if hasattr(value, "tolist"):  # NumPy, pandas series
        return _unwrapped(value, value.tolist())
    if type(value).__name__ == "NAType":  # pandas.NA
        return None
    if isinstance(value, Iterable) and not hasattr(value, "__getitem__"):  # generators, dict views
        return [plain(each) for each in value]
    if hasattr(value, "__float__"):  # Decimal, Fraction
        return plain(float(value))
    raise TypeError(f"a {type(value).__module__}.{type(value).__name__} is nothing that JSON can hold")


def _unwrapped(original: Any, value: Any) -> Any:
    if type(value) is type(original):  # numpy.longdouble converts to itself
        return plain(float(value))
    return plain(value)


def _base(value: Any) -> Any:
    return next(base for base in (str, int, float) if isinstance(value, base))
