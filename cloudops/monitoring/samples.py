"""One column of a table, taken apart: its kind, its values, and what is wrong with them.

Numbers of any width are one kind, also integers with few distinct values: the bins of drift give a frequent value a
bin of its own, so such a column is compared as if it were categories. Text, booleans and dictionary-encoded columns
are categories. Times move by themselves and nested values have no order: both are checked for missing values only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from .ecdf import Ecdf

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["number", "category", "time", "nested", "empty"]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """The values of one column.

    Args:
        kind: how the values are compared.
        rows: all cells.
        missing: cells with null, not-a-number or an infinity.
        violations: cells of another type than the reference's; neither missing nor among the values.
        numbers: the values, where they are compared as numbers.
        categories: value as text to how many rows have it, where they are compared as categories.
    """

    kind: Kind
    rows: int
    missing: int
    violations: int = 0
    numbers: Ecdf | None = None
    categories: Mapping[str, int] | None = None

    @property
    def present(self) -> int:
        """How many values there are to compare."""
        return self.rows - self.missing - self.violations


def kind_of(dtype: pl.DataType) -> Kind:
    """How a column of this type is compared."""
    import polars as pl

    if dtype.is_numeric():
        return "number"
    if dtype.is_temporal():
        return "time"
    if dtype.is_nested() or dtype in (pl.Binary, pl.Object):
        return "nested"
    return "empty" if dtype == pl.Null else "category"


def take(series: pl.Series, kind: Kind | None = None, *, dtype: str = "", violations: int = 0) -> Sample:
    """The values of ``series``, read as the reference's kind.

    Args:
        series: the column, of any type.
        kind: the reference's kind; by default the column's own.
        dtype: the reference's type, as polars names it: with "Float32" the values are rounded to it, so that 0.1
            equals 0.1, and with "Boolean" 0 and 1 are values.
        violations: cells known to be of the wrong type, which are null in ``series``.
    """
    kind = kind or kind_of(series.dtype)
    if kind == "number":
        return _numbers(series, dtype, violations)
    if kind == "category":
        return _categories(series, dtype, violations)
    return Sample(kind, series.len(), series.null_count() - violations, violations)


def _numbers(series: pl.Series, dtype: str, violations: int) -> Sample:
    import polars as pl

    values = _as_numbers(series)
    violations += values.null_count() - series.null_count()
    values = values.drop_nulls()
    if dtype == "Float32":
        values = values.cast(pl.Float32).cast(pl.Float64)
    finite = values.is_finite()
    values = values if finite.all() else values.filter(finite)
    missing = series.len() - values.len() - violations
    return Sample("number", series.len(), missing, violations, numbers=Ecdf.of(values.to_numpy()))


def _as_numbers(series: pl.Series) -> pl.Series:
    """As floats, null where that is no number; text counts where it reads as one, for CSV has no types."""
    import polars as pl

    if series.dtype.is_numeric() or series.dtype in (pl.Boolean, pl.String):
        return series.cast(pl.Float64, strict=False)
    if kind_of(series.dtype) == "category":
        return series.cast(pl.String).cast(pl.Float64, strict=False)
    return pl.repeat(None, series.len(), dtype=pl.Float64, eager=True)


def _categories(series: pl.Series, dtype: str, violations: int) -> Sample:
    texts = _as_texts(series, boolean=dtype == "Boolean")
    absent = series.null_count() + _not_finite(series)
    violations += texts.null_count() - absent
    missing = texts.null_count() - violations
    return Sample("category", series.len(), missing, violations, categories=_count(texts))


def _not_finite(series: pl.Series) -> int:
    return int((~series.is_finite()).sum()) if series.dtype.is_float() else 0


def _as_texts(series: pl.Series, *, boolean: bool) -> pl.Series:
    """As text, null where that is missing or no value of the reference's type."""
    import polars as pl

    if kind_of(series.dtype) in ("nested", "empty"):
        return pl.repeat(None, series.len(), dtype=pl.String, eager=True)
    if boolean and series.dtype != pl.Boolean:
        truths = {"0": "false", "0.0": "false", "1": "true", "1.0": "true", "true": "true", "false": "false"}
        return series.cast(pl.String).str.to_lowercase().replace_strict(truths, default=None, return_dtype=pl.String)
    if series.dtype.is_float():
        return series.set(~series.is_finite(), None).cast(pl.String)
    return series.cast(pl.String)


def _count(texts: pl.Series) -> dict[str, int]:
    counted = texts.drop_nulls().value_counts(name="rows")
    ordered: Any = counted.sort(["rows", texts.name], descending=[True, False])
    return dict(zip(ordered[texts.name].to_list(), ordered["rows"].to_list(), strict=True))
