"""Rows as an endpoint takes them, from what Python programs hold them in."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from .errors import ConfigError

_PLAIN = (str, int, float, bool, type(None), list, tuple, dict)


def request_body(rows: Any) -> bytes:
    """The JSON document ``{"instances": [...]}`` with a list of rows.

    Args:
        rows: a list or another iterable of rows; a frame of pandas or polars (each row an object of column to value);
            or an array of NumPy (each row a list). Numbers that are none and infinities become None, dates and times
            ISO 8601 text, durations seconds, bytes hexadecimal text.

    Raises:
        ConfigError: it is one row instead of a list of them, or holds nothing.
    """
    if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
        raise ConfigError(f"expected a list of rows, got {_kind(rows)}", hint="put it in a list: predict([row])")
    found = _listed(rows)
    if not found:
        raise ConfigError("expected at least one row, got none")
    try:
        return json.dumps({"instances": found}, allow_nan=False).encode()
    except (TypeError, ValueError):  # something that JSON lacks: value by value, which takes longer
        from .monitoring.values import json_safe

        return json.dumps({"instances": [json_safe(row) for row in found]}, allow_nan=False).encode()


def _listed(rows: Any) -> list[Any]:
    """The rows of whatever holds them; frames and arrays are known by their methods, so that none is imported."""
    if hasattr(rows, "to_dicts"):
        return list(rows.to_dicts())
    if hasattr(rows, "iterrows"):
        if not rows.columns.is_unique:
            raise ConfigError("expected columns of different names; an object has each of them once")
        return list(rows.to_dict(orient="records"))
    found = rows.tolist() if hasattr(rows, "tolist") else rows
    return list(found) if isinstance(found, Iterable) else []  # an array without a dimension is a number


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}" if isinstance(value, _PLAIN) else type(value).__name__
