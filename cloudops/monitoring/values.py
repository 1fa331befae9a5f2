"""Single values as JSON has them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def json_safe(value: Any) -> Any:
    """One value as JSON has it; see :func:`cloudops.monitoring.batches`."""
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
