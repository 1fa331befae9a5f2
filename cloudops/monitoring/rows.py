"""Captured requests, as clean or dirty as callers send them, as a typed table."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .values import json_safe

if TYPE_CHECKING:
    import polars as pl

    from .profiles import Profile

#: What stands in a cell that holds a value of the wrong type.
_WRONG: Final = object()


@dataclass(frozen=True, slots=True, eq=False)
class Captured:
    """Rows as a table.

    Args:
        frame: one column per name; a cell that was missing or of the wrong type is null.
        rows: how many there were; the frame has none when no row had a value.
        violations: column to how many of its cells were of the wrong type.
    """

    frame: pl.DataFrame
    rows: int
    violations: Mapping[str, int] = field(default_factory=dict)


def from_rows(
    rows: Iterable[Any], columns: Sequence[str] | None = None, *, reference: Profile | None = None
) -> Captured:
    """A table of captured rows; never raises on what a row holds.

    Args:
        rows: objects, lists or single values, also mixed.
        columns: the names of a list's values, in order; without them ``column_0``, ``column_1``, ...
        reference: says which type a column has; a column that it does not know has its most frequent type.
    """
    import polars as pl

    records = [_record(row, columns or ()) for row in rows]
    names = list(dict.fromkeys(name for record in records for name in record))
    series, violations = {}, {}
    for name in names:
        kind = reference.type_of(name) if reference else None
        series[name], wrong = _column(name, [record.get(name) for record in records], kind)
        if wrong:
            violations[name] = wrong
    return Captured(pl.DataFrame(series), len(records), violations)


def _record(row: Any, columns: Sequence[str]) -> dict[str, Any]:
    if isinstance(row, Mapping):
        return {_clean(str(key)): value for key, value in row.items()}
    values = row if isinstance(row, list | tuple) else [row]
    return {columns[at] if at < len(columns) else f"column_{at}": value for at, value in enumerate(values)}


def _clean(text: str) -> str:
    """Text without lone surrogates, which JSON can hold and UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _column(name: str, cells: list[Any], kind: str | None) -> tuple[pl.Series, int]:
    import polars as pl

    kind = kind or _most_frequent(cells)
    quick = _quickly(name, cells, kind)
    if quick is not None:
        return quick, 0
    convert, dtype = _CONVERTERS[kind], {"number": pl.Float64, "boolean": pl.Boolean}.get(kind, pl.String)
    values = [None if _missing(cell) else convert(cell) for cell in cells]
    wrong = sum(value is _WRONG for value in values)
    return pl.Series(name, [None if value is _WRONG else value for value in values], dtype=dtype), wrong


def _quickly(name: str, cells: list[Any], kind: str) -> pl.Series | None:
    """The column without looking at each cell, where all of its cells are plain numbers."""
    import polars as pl

    types = set(map(type, cells)) - {type(None)}
    if kind != "number" or not types or not types <= {int, float}:
        return None
    try:
        return pl.Series(name, cells, dtype=pl.Int64 if types == {int} else pl.Float64, strict=types == {int})
    except (OverflowError, TypeError, pl.exceptions.PolarsError):
        return None


def _missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and not math.isfinite(cell))


def _most_frequent(cells: Iterable[Any]) -> str:
    counts = dict.fromkeys(_CONVERTERS, 0)
    for cell in cells:
        if not _missing(cell):
            counts[_type(cell)] += 1
    return max(counts, key=lambda kind: counts[kind])


def _type(cell: Any) -> str:
    if isinstance(cell, bool):
        return "boolean"
    if isinstance(cell, str):
        return "text"
    return "number" if hasattr(cell, "__float__") else "other"


def _number(cell: Any) -> Any:
    if isinstance(cell, str) or not hasattr(cell, "__float__"):
        return _WRONG
    try:
        value = float(cell)
    except (OverflowError, ValueError, TypeError):
        return _WRONG
    return value if math.isfinite(value) else None


def _boolean(cell: Any) -> Any:
    return bool(cell) if isinstance(cell, int | float) and cell in (0, 1) else _WRONG


def _text(cell: Any) -> Any:
    return _clean(cell) if isinstance(cell, str) else _WRONG


def _other(cell: Any) -> str:
    if isinstance(cell, str):
        return _clean(cell)
    try:
        return json.dumps(json_safe(cell))
    except (ValueError, TypeError, OverflowError, RecursionError):
        return f"<{type(cell).__name__}>"


#: Type to the function that makes a cell of it; the order decides between equally frequent types.
_CONVERTERS: Final[dict[str, Callable[[Any], Any]]] = {
    "number": _number,
    "text": _text,
    "boolean": _boolean,
    "other": _other,
}
