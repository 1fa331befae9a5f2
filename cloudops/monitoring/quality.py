"""Whether the values themselves are sound: missing, of the wrong type, out of range, never seen before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from . import formats
from .drift import align
from .report import Check, Checks

if TYPE_CHECKING:
    import polars as pl

    from .profiles import ColumnProfile
    from .samples import Sample

#: How many new categories a report names.
NAMES_SHOWN: Final = 20


@dataclass(frozen=True, slots=True)
class Quality:
    """The shares of bad values in one column, each 0 to 1; None: does not apply.

    Args:
        missing: of all cells; so is ``types``.
        missing_reference: the reference's share.
        outside: of the values, below the reference's smallest or above its largest.
        new_categories: of the values; None also where the reference has too many categories to know.
        new_names: the most frequent of them.
    """

    missing: float
    missing_reference: float | None
    types: float
    outside: float | None = None
    new_categories: float | None = None
    new_names: tuple[str, ...] = ()


def measure(reference: ColumnProfile | None, current: Sample) -> Quality:
    """The quality of one column; without a reference only what needs none."""
    rows = current.rows or 1
    missing, types = current.missing / rows, current.violations / rows
    if reference is None:
        return Quality(missing, None, types)
    share, names = _new(reference, current)
    return Quality(missing, reference.missing_share, types, _outside(reference, current), share, names)


def quality_checks(name: str, quality: Quality, checks: Checks) -> list[Check]:
    """Each share of column ``name`` against its limit.

    Missing values count beyond the reference's own share: a model that was trained on a column with holes expects
    them, and a column that loses more is a finding.
    """
    usual = quality.missing_reference or 0.0
    beyond = f" (reference {formats.share(usual)})" if usual else ""
    named = f": {formats.enumeration([repr(formats.clip(new, 30)) for new in quality.new_names], 3)}"
    found = [
        _check("missing", name, max(0.0, quality.missing - usual), checks.missing, f"missing{beyond}", quality.missing),
        _check("types", name, quality.types, checks.types, "of the wrong type"),
        _check("range", name, quality.outside, checks.range, "outside the reference's range"),
        _check("new_categories", name, quality.new_categories, checks.new_categories, f"in new categories{named}"),
    ]
    return [check for check in found if check is not None]


def table_checks(missing_columns: tuple[str, ...], duplicates: float, checks: Checks) -> list[Check]:
    """What concerns the whole table: columns that are not there, and repeated rows."""
    found = [
        Check(
            "column",
            name,
            None,
            None,
            False,
            f"{formats.clip(name, 60)}: the column is not there; the reference has it",
        )
        for name in missing_columns
    ]
    if (limit := checks.duplicates) is not None:
        detail = (
            f"{formats.share(duplicates)} of the rows repeat an earlier one, at most {formats.share(limit)} allowed"
        )
        found.append(Check("duplicates", None, duplicates, limit, duplicates <= limit, detail))
    return found


def duplicate_share(frame: pl.DataFrame) -> float:
    """The share of rows that repeat an earlier one, 0 to 1; nested columns are not looked at."""
    from .samples import kind_of

    flat = [name for name, dtype in frame.schema.items() if kind_of(dtype) not in ("nested", "empty")]
    if not flat or not frame.height:
        return 0.0
    return 1.0 - frame.select(flat).n_unique() / frame.height


def _check(
    key: str, name: str, value: float | None, limit: float | None, what: str, shown: float | None = None
) -> Check | None:
    if value is None or limit is None:
        return None
    more = " more than the reference" if key == "missing" else ""
    found = formats.share(value if shown is None else shown)
    detail = f"{formats.clip(name, 60)}: {found} {what}, at most {formats.share(limit)}{more} allowed"
    return Check(key, name, value, limit, value <= limit, detail)


def _outside(reference: ColumnProfile, current: Sample) -> float | None:
    known, now = reference.sample.numbers, current.numbers
    if known is None or now is None or not known.rows or not now.rows:
        return None
    below, upto = now.steps(known.values[[0, -1]])
    return float(1.0 - (upto[1] - below[0]) / now.rows)


def _new(reference: ColumnProfile, current: Sample) -> tuple[float | None, tuple[str, ...]]:
    if reference.kind != "category" or reference.rare or not current.present or current.categories is None:
        return None, ()
    _, _, new = align(reference, current)
    return sum(new.values()) / current.present, tuple(new)[:NAMES_SHOWN]
