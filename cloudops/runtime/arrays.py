"""Arrays as nested lists: the way from and to a flat list and a shape, in row-major order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def nested(flat: Sequence[Any], shape: Sequence[int]) -> list[Any]:
    """``flat`` as lists of lists; no length in ``shape`` is 0."""
    values = list(flat)
    for length in reversed(shape[1:]):
        values = [values[at : at + length] for at in range(0, len(values), length)]
    return values


def flattened(predictions: list[Any]) -> tuple[list[Any], tuple[int, ...]]:
    """Nested lists as one list and their shape.

    Raises:
        ValueError: lists of one level differ in length or in depth.
    """
    shape: list[int] = []
    flat: list[Any] = [predictions]
    while flat and all(isinstance(each, list) for each in flat):
        length = len(flat[0])
        if any(len(each) != length for each in flat):
            raise ValueError("these predictions differ in length")
        shape.append(length)
        flat = [item for each in flat for item in each]
    if any(isinstance(each, list) for each in flat):
        raise ValueError("these predictions differ in depth")
    return flat, tuple(shape)
