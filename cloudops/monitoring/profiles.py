"""What the reference looks like, measured once and small enough to keep beside the model.

A stored profile keeps counts, bins, categories and extremes exactly. Of a column's distribution it keeps at most
10,000 points, so that a Kolmogorov-Smirnov statistic against a stored profile is off by at most 0.0001; columns with
fewer distinct values, and every profile that was just made, are exact.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, cast

from .ecdf import Ecdf
from .samples import Kind, Sample, take

if TYPE_CHECKING:
    import polars as pl

    from .ecdf import Floats

FORMAT: Final = "cloudops-profile/1"

#: How many categories of a column are told apart; the less frequent ones count as one.
MAX_CATEGORIES: Final = 1_000


@dataclass(frozen=True, slots=True, eq=False)
class ColumnProfile:
    """One column of the reference.

    Args:
        dtype: its type, as polars names it.
        sample: its values.
        edges: the inner edges of the bins that drift is measured in, ascending; numbers only.
        rare: rows in categories beyond the most frequent 1,000, which are counted together.
    """

    dtype: str
    sample: Sample
    edges: Floats | None = None
    rare: int = 0

    @property
    def kind(self) -> Kind:
        """How it is compared."""
        return self.sample.kind

    @property
    def missing_share(self) -> float:
        """The share of missing values, 0 to 1; 0 without rows."""
        return self.sample.missing / self.sample.rows if self.sample.rows else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """A reference table: its columns by name, in the table's order.

    Args:
        columns: what each one looks like.
        rows: how many rows it was made of.
    """

    columns: Mapping[str, ColumnProfile]
    rows: int

    def type_of(self, name: str) -> str | None:
        """The type that :func:`from_rows` expects of a column; None: not known here."""
        column = self.columns.get(name)
        if column is None or column.kind == "empty":
            return None
        if column.kind == "category":
            return "boolean" if column.dtype == "Boolean" else "text"
        return "number" if column.kind == "number" else "other"

    def to_json(self) -> str:
        """The profile as one JSON document, which :meth:`from_json` reads."""
        columns = {name: _column_document(column) for name, column in self.columns.items()}
        return json.dumps({"format": FORMAT, "rows": self.rows, "columns": columns}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Profile:
        """Reads what :meth:`to_json` wrote.

        Raises:
            ValueError: it is not such a document.
        """
        try:
            document = json.loads(text)
            if document["format"] != FORMAT:
                raise ValueError(f"its format is {document['format']!r}")
            columns = {name: _column_from(part) for name, part in document["columns"].items()}
            return cls(columns, document["rows"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a {FORMAT} document ({error}); profile the reference table again") from error


def profile(frame: pl.DataFrame, *, bins: int = 10) -> Profile:
    """Measures a reference table.

    Args:
        frame: the rows that the model was trained on.
        bins: into how many bins of equal share numbers are cut.

    Raises:
        ValueError: fewer than two bins.
    """
    if bins < 2:
        raise ValueError(f"drift needs at least two bins, not {bins}: pass bins=10")
    return Profile({series.name: _profile(series, bins) for series in frame.iter_columns()}, frame.height)


def bin_edges(numbers: Ecdf, bins: int) -> Floats:
    """The inner edges of bins of equal share: each bin is [edge, next edge), the outer two are open.

    The edges are quantiles, so values of the reference. One that holds at least a bin's share makes edges coincide;
    it gets a bin of its own, so that values just above it are not counted with it. A constant thus has three bins:
    below it, at it and above it.
    """
    import numpy as np

    if not numbers.rows:
        return np.empty(0)
    cuts = numbers.quantiles(np.arange(1, bins) / bins)
    below, at = numbers.steps(cuts)
    heavy = cuts[(at - below) * bins >= numbers.rows]
    with np.errstate(over="ignore", under="ignore"):
        above = np.nextafter(heavy, np.inf)
    return np.unique(np.concatenate([cuts, above[np.isfinite(above)]]))


def _profile(series: pl.Series, bins: int) -> ColumnProfile:
    dtype, sample = str(series.dtype), take(series)
    if sample.numbers is not None:
        return ColumnProfile(dtype, sample, bin_edges(sample.numbers, bins))
    if sample.categories is not None and len(sample.categories) > MAX_CATEGORIES:
        kept = dict(islice(sample.categories.items(), MAX_CATEGORIES))
        return ColumnProfile(dtype, replace(sample, categories=kept), rare=sample.present - sum(kept.values()))
    return ColumnProfile(dtype, sample)


def _column_document(column: ColumnProfile) -> dict[str, Any]:
    sample = column.sample
    document: dict[str, Any] = {"kind": column.kind, "dtype": column.dtype}
    document |= {"rows": sample.rows, "missing": sample.missing}
    if sample.numbers is not None and column.edges is not None:
        kept = sample.numbers.thinned(column.edges)
        document["edges"] = column.edges.tolist()
        document["values"], document["below"] = kept.values.tolist(), kept.below.tolist()
    if sample.categories is not None:
        document["categories"], document["rare"] = dict(sample.categories), column.rare
    return document


def _column_from(document: dict[str, Any]) -> ColumnProfile:
    import numpy as np

    numbers = edges = None
    if "values" in document:
        numbers = Ecdf(np.array(document["values"], float), np.array(document["below"], np.int64))
        edges = np.array(document["edges"], float)
    kind = cast(Kind, document["kind"])
    sample = Sample(kind, document["rows"], document["missing"], 0, numbers, document.get("categories"))
    return ColumnProfile(document["dtype"], sample, edges, document.get("rare", 0))
