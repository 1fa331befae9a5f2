"""Whether a column's values still look like the reference's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .distances import chi_squared, jensen_shannon, kolmogorov_smirnov, ks_pvalue, psi
from .formats import clip
from .report import Check, Checks

if TYPE_CHECKING:
    from .profiles import ColumnProfile
    from .samples import Sample


@dataclass(frozen=True, slots=True)
class Distances:
    """How far a column is from its reference; None: that statistic does not exist for the column.

    Args:
        psi: over bins of equal reference share for numbers, over the categories otherwise; so is ``js``.
        ks: of numbers; ``chi2`` of categories.
        note: why nothing was compared, one line.
    """

    psi: float | None = None
    ks: float | None = None
    ks_pvalue: float | None = None
    js: float | None = None
    chi2: float | None = None
    chi2_pvalue: float | None = None
    note: str = ""

    @property
    def pvalue(self) -> float | None:
        """How often chance brings such a difference."""
        return self.ks_pvalue if self.ks_pvalue is not None else self.chi2_pvalue


def measure(reference: ColumnProfile, current: Sample) -> Distances:
    """The distances of one column; missing values are left out, they are a matter of quality."""
    note = _not_comparable(reference, current)
    if note:
        return Distances(note=note)
    if reference.sample.numbers is not None and current.numbers is not None:
        return _of_numbers(reference, current)
    return _of_categories(reference, current)


def align(reference: ColumnProfile, current: Sample) -> tuple[list[int], list[int], dict[str, int]]:
    """Rows per category in the reference and now, in one order, and those of categories that are new.

    Where the reference counts its rare categories together, an unknown one counts with them and none is new.
    """
    known, found = reference.sample.categories or {}, current.categories or {}
    new = {name: rows for name, rows in found.items() if name not in known}
    before, now = list(known.values()), [found.get(name, 0) for name in known]
    if reference.rare:
        return [*before, reference.rare], [*now, sum(new.values())], {}
    return before + [0] * len(new), now + list(new.values()), new


def drift_checks(name: str, distances: Distances, checks: Checks) -> list[Check]:
    """Each distance of column ``name`` against its limit."""
    found = []
    for key, label in (("psi", "PSI"), ("ks", "KS"), ("js", "Jensen-Shannon distance")):
        value, limit = getattr(distances, key), getattr(checks, key)
        if value is not None and limit is not None:
            found.append(
                _distance_check(key, f"{clip(name, 60)}: {label}", name, value, limit, distances.pvalue, checks)
            )
    pvalue, limit = distances.chi2_pvalue, checks.chi2_pvalue
    if pvalue is not None and limit is not None:
        detail = f"{clip(name, 60)}: chi-squared p-value {pvalue:.2g}, at least {limit:g} wanted"
        found.append(Check("chi2_pvalue", name, pvalue, limit, pvalue >= limit, detail))
    return found


def undecided(checks: Iterable[Check]) -> bool:
    """Whether a distance is over its limit and too few rows came to tell it from chance."""
    limited = (check for check in checks if check.name != "chi2_pvalue" and check.passed)
    return any((check.value or 0.0) > (check.threshold or 0.0) for check in limited)


def _distance_check(
    key: str, subject: str, name: str, value: float, limit: float, pvalue: float | None, checks: Checks
) -> Check:
    chance = checks.significance is not None and pvalue is not None and pvalue >= checks.significance
    detail = f"{subject} {value:.3g}, at most {limit:g} allowed"
    if value > limit and chance:
        detail += f"; too few rows to tell from chance (p = {pvalue:.2g})"
    return Check(key, name, value, limit, value <= limit or chance, detail)


def _not_comparable(reference: ColumnProfile, current: Sample) -> str:
    if reference.kind in ("time", "nested"):
        return {"time": "a time; not compared", "nested": "nested values; not compared"}[reference.kind]
    if not reference.sample.present:
        return "the reference has no values"
    if not current.present:
        return "every value is missing" if not current.violations else "no value has the reference's type"
    return ""


def _of_numbers(reference: ColumnProfile, current: Sample) -> Distances:
    before, now, edges = reference.sample.numbers, current.numbers, reference.edges
    assert before is not None
    assert now is not None
    assert edges is not None
    expected, found = before.split(edges), now.split(edges)
    statistic = kolmogorov_smirnov(before, now)
    return Distances(
        psi=psi(expected, found),
        js=jensen_shannon(expected, found),
        ks=statistic,
        ks_pvalue=ks_pvalue(statistic, before, now),
    )


def _of_categories(reference: ColumnProfile, current: Sample) -> Distances:
    expected, found, _ = align(reference, current)
    statistic, pvalue = chi_squared(expected, found)
    return Distances(psi=psi(expected, found), js=jensen_shannon(expected, found), chi2=statistic, chi2_pvalue=pvalue)


def compare(reference: Any, current: Any) -> dict[str, Distances]:
    """The distances of every column that two tables share.

    Args:
        reference: a polars frame or a :class:`~cloudops.monitoring.Profile`.
        current: a polars frame.
    """
    from .profiles import Profile, profile
    from .samples import take

    known = reference if isinstance(reference, Profile) else profile(reference)
    shared = [(name, column) for name, column in known.columns.items() if name in current.columns]
    return {name: measure(column, take(current[name], column.kind, dtype=column.dtype)) for name, column in shared}
