"""Rows as an endpoint takes them, from what Python programs hold them in."""

from __future__ import annotations

import json
import math
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
        return json.dumps({"instances": [json_safe(row) for row in found]}, allow_nan=False).encode()


def json_safe(value: Any) -> Any:
    """One value as JSON has it; see :func:`request_body`."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if type(value).__name__ in ("NaTType", "NAType"):  # what pandas calls missing
        return None
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): json_safe(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(part) for part in value]
    return _as_text_or_number(value)


def _as_text_or_number(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    for method in ("tolist", "isoformat", "total_seconds", "__float__"):
        if hasattr(value, method):
            return json_safe(getattr(value, method)())
    return str(value)


def _listed(rows: Any) -> list[Any]:
    """The rows of whatever holds them; frames and arrays are known by their methods, so that none is imported."""
    if hasattr(rows, "to_dicts"):
        return list(rows.to_dicts())
    if hasattr(rows, "iterrows"):
        return list(rows.to_dict(orient="records"))
    if hasattr(rows, "tolist"):
        return list(rows.tolist())
    return list(rows)


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}" if isinstance(value, _PLAIN) else type(value).__name__
