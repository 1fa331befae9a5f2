"""Plain data back into dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints


def decode(kind: Any, value: Any) -> Any:
    """``value``, as JSON carries it, as a ``kind``: a dataclass, a tuple, a mapping, an optional, or plain.

    Raises:
        TypeError, KeyError, AttributeError: the value has another shape.
    """
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        return kind(**{name: decode(hints[name], part) for name, part in value.items() if name in hints})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return _optional(arguments, value)
    if origin is tuple:
        return tuple(decode(arguments[0], part) for part in value)
    if origin is Mapping:
        return {name: decode(arguments[1], part) for name, part in value.items()}
    return value


def _optional(arguments: tuple[Any, ...], value: Any) -> Any:
    if value is None:
        return None
    (kind,) = (argument for argument in arguments if argument is not NoneType)
    return decode(kind, value)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)
