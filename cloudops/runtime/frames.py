"""Instances as a checked table, for predictor files: what does not fit is the sender's to correct, not a failure."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Union

from .errors import BadRequest
from .models.rows import as_lists

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]


def table(
    instances: list[Any], columns: Iterable[str], numbers: Union[bool, Collection[str]] = True, *, missing: bool = True
) -> pd.DataFrame:
    """The instances as a pandas frame with just these ``columns``, in this order; other values are left out.

    Each instance is an object of column to value, or a list with a value for each of ``columns``.

    Args:
        instances: what ``predict`` or ``preprocess`` is given.
        columns: their names, such as ``model.feature_names_in_``.
        numbers: True where all columns hold numbers, False where none has to, or the names of those that do. Such a
            column is float64; any other is of objects, and takes text, numbers and booleans.
        missing: whether a value may be None, which is NaN among numbers.

    Raises:
        BadRequest: an instance does not fit; the message names the row and the reason.
        ModuleNotFoundError: pandas is not installed.
    """
    import pandas as pd

    names = [str(name) for name in columns]
    if not isinstance(instances, list):
        raise BadRequest(f"the instances must be a list of rows, not a {type(instances).__name__}")
    for row, instance in enumerate(instances):
        if not isinstance(instance, (dict, list)):
            raise BadRequest(f"row {row} is {_shown(instance)}; {_expected(names)}")
    lists = as_lists(instances, names) if instances else []
    numeric = set(names) if numbers is True else set(numbers or ())
    series = {}
    for at, name in enumerate(names):
        convert, kind = (_number, float) if name in numeric else (_other, object)
        values = [_converted(each[at], f"row {row}: {name!r}", convert, missing) for row, each in enumerate(lists)]
        series[name] = pd.Series(values, dtype=kind)
    return pd.DataFrame(series, columns=names)


def _converted(value: Any, place: str, convert: Any, missing: bool) -> Any:
    if value is None or value != value:
        if not missing:
            raise BadRequest(f"{place} is missing, and this model needs every value")
        return None
    try:
        return convert(value)
    except (TypeError, OverflowError):
        wanted = "a finite number" if convert is _number else "a text, a number or a boolean"
        raise BadRequest(f"{place} is {_shown(value)}, not {wanted}") from None


def _number(value: Any) -> float:
    if not isinstance(value, (int, float)):  # float() would take the text "1"
        raise TypeError(value)
    if not math.isfinite(value):
        raise OverflowError(value)
    return float(value)


def _other(value: Any) -> Any:
    if not isinstance(value, (str, int, float)):
        raise TypeError(value)
    return value


def _expected(names: Sequence[str]) -> str:
    listed = ", ".join(names[:30]) + (", ..." if len(names) > 30 else "")
    return f"expected an object with {listed}, or a list of these values"


def _shown(value: Any) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
