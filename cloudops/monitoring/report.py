"""The result of monitoring: thresholds in, findings out, as plain data that JSON carries unchanged.

Shares are 0 to 1, durations seconds, instants ISO 8601 text. A value that was not measured is None.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final, Literal

from .codec import decode
from .formats import clean, clip, enumeration

FORMAT: Final = "cloudops-report/1"

Verdict = Literal["failed", "drift", "no data", "ok"]

#: From worst to best; a report is as bad as its worst period.
SEVERITY: Final[tuple[Verdict, ...]] = ("failed", "drift", "no data", "ok")

#: Names of the checks whose violation is drift; every other one is a failure.
DRIFT_CHECKS: Final[frozenset[str]] = frozenset({"psi", "ks", "js", "chi2_pvalue"})


#: The note of a column whose distance is over its limit without being evidence.
UNDECIDED: Final = "too few rows to tell the difference from chance"


@dataclass(frozen=True, slots=True)
class Checks:
    """The limits; None switches one off. A value at its limit is allowed.

    Args:
        psi: population stability index.
        ks: Kolmogorov-Smirnov statistic of a number, 0 to 1.
        js: Jensen-Shannon distance to base 2, 0 to 1.
        chi2_pvalue: smallest p-value of the chi-squared test of a category.
        significance: a distance over its limit is drift only if chance would bring such a difference less often than
            this (p-value of Kolmogorov-Smirnov or chi-squared), so that twenty rows do not raise an alarm by luck.
        missing: share of missing values beyond the reference's own share.
        types: share of values of another type than the reference's.
        range: share of numbers outside the reference's smallest and largest.
        new_categories: share of values that the reference does not have.
        duplicates: share of rows that repeat an earlier row.
        latency_p99: seconds, per version.
        errors: share of requests, per version.
    """

    psi: float | None = 0.2
    ks: float | None = None
    js: float | None = None
    chi2_pvalue: float | None = None
    significance: float | None = 0.001
    missing: float | None = 0.05
    types: float | None = 0.0
    range: float | None = None
    new_categories: float | None = None
    duplicates: float | None = None
    latency_p99: float | None = None
    errors: float | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One limit held against one value.

    Args:
        name: the field of :class:`Checks`, or ``column`` for a column that is not there.
        column: the column or the version that was checked; None: the whole table.
        value: what was measured; None: nothing to measure, which passes.
        threshold: the limit.
        passed: whether it was kept.
        detail: one line that says it in words.
    """

    name: str
    column: str | None
    value: float | None
    threshold: float | None
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Histogram:
    """The shape of a column, for drawing: the same bins in every period of a report.

    Args:
        edges: of k bins, k + 1 numbers in the column's unit; the outer bins also hold what lies beyond. Or None.
        labels: of k categories; the last may be the rest. Or None.
        reference: share per bin, k numbers; empty without a reference.
        current: share per bin, k numbers.
    """

    edges: tuple[float, ...] | None
    labels: tuple[str, ...] | None
    reference: tuple[float, ...]
    current: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Trend:
    """How a number moved within a period: its 10 %, 50 % and 90 % quantiles in equal stretches of time.

    Args:
        starts: each stretch's beginning; stretches without a value are left out.
        low: the 10 % quantiles, in the column's unit; the others alike.
    """

    starts: tuple[str, ...]
    low: tuple[float, ...]
    middle: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ColumnReport:
    """One column in one period.

    Args:
        kind: "number", "category", "time", "nested" or "empty".
        values: how many values could be compared.
        drifted: a distance is over its limit.
        failed: a check of quality is violated.
        outside: share of numbers beyond the reference's extremes.
        new_categories: share of values that the reference does not have.
        new_names: up to twenty of them, most frequent first.
        note: what a reader must know about the numbers, one line.
    """

    name: str
    kind: str
    values: int
    drifted: bool = False
    failed: bool = False
    psi: float | None = None
    ks: float | None = None
    ks_pvalue: float | None = None
    js: float | None = None
    chi2: float | None = None
    chi2_pvalue: float | None = None
    missing: float = 0.0
    missing_reference: float | None = None
    types: float = 0.0
    outside: float | None = None
    new_categories: float | None = None
    new_names: tuple[str, ...] = ()
    note: str = ""
    histogram: Histogram | None = None
    trend: Trend | None = None


@dataclass(frozen=True, slots=True)
class Volume:
    """How much: the period's rows, and the reference's."""

    rows: int
    reference_rows: int | None = None


@dataclass(frozen=True, slots=True)
class Velocity:
    """How fast: the period's length and rows per second, where its beginning and end are known."""

    seconds: float | None = None
    rows_per_second: float | None = None


@dataclass(frozen=True, slots=True)
class Veracity:
    """How true: shares of all cells that are missing or of a wrong type, of numbers out of range, of repeated rows."""

    missing: float = 0.0
    types: float = 0.0
    outside: float | None = None
    duplicates: float = 0.0


@dataclass(frozen=True, slots=True)
class Variety:
    """How diverse: columns there and expected, those missing and those not expected, columns with new categories."""

    columns: int
    expected: int | None = None
    missing_columns: tuple[str, ...] = ()
    unexpected_columns: tuple[str, ...] = ()
    new_categories: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Arrivals:
    """When rows came: the beginning of stretches of ``seconds`` length, and the rows in each."""

    starts: tuple[str, ...]
    seconds: float
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class PeriodReport:
    """One stretch of traffic against the reference; ``columns`` in the reference's order."""

    label: str
    rows: int
    started: str | None
    ended: str | None
    verdict: Verdict
    drifted: tuple[str, ...]
    volume: Volume
    velocity: Velocity
    veracity: Veracity
    variety: Variety
    columns: tuple[ColumnReport, ...] = ()
    checks: tuple[Check, ...] = ()
    arrivals: Arrivals | None = None

    def column(self, name: str) -> ColumnReport | None:
        """What is known of a column in this period."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True)
class VersionMetrics:
    """What one deployed version did.

    Args:
        requests: how many came, the failed ones included.
        errors: how many failed.
        latency_p50: seconds; None: not known. The others alike.
        seconds: how long it was watched.
    """

    version: str
    requests: int
    errors: int = 0
    latency_p50: float | None = None
    latency_p90: float | None = None
    latency_p99: float | None = None
    seconds: float | None = None

    @property
    def error_share(self) -> float | None:
        """Errors per request; None without requests."""
        return self.errors / self.requests if self.requests else None


@dataclass(frozen=True, slots=True)
class ReferenceSummary:
    """What the periods are compared with; per number, its 10 %, 50 % and 90 % quantiles."""

    label: str
    rows: int
    columns: int
    bands: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one run of the monitor found.

    Args:
        name: what was monitored.
        created: when.
        verdict: the worst of all periods and versions.
        drifted: the columns that drifted in any period, the largest stability index first.
        reference: None: there was none, so nothing about drift is known.
        checks: those of the versions; a period has its own.
        thresholds: the limits that applied.
        units: column to unit, for labels.
    """

    name: str
    created: str
    verdict: Verdict
    drifted: tuple[str, ...]
    reference: ReferenceSummary | None
    periods: tuple[PeriodReport, ...]
    operational: tuple[VersionMetrics, ...] = ()
    checks: tuple[Check, ...] = ()
    thresholds: Checks = field(default_factory=Checks)
    units: Mapping[str, str] = field(default_factory=dict)

    def violations(self) -> Iterator[tuple[str | None, Check]]:
        """Each violated check with its period's label (None: a version's), failures before drift."""
        found: list[tuple[str | None, Check]] = [(None, check) for check in self.checks if not check.passed]
        found += [(period.label, check) for period in self.periods for check in period.checks if not check.passed]
        yield from sorted(found, key=lambda pair: pair[1].name in DRIFT_CHECKS)

    def headline(self) -> str:
        """The verdict in one sentence."""
        failed = sum(check.name not in DRIFT_CHECKS for _, check in self.violations())
        verdict = _HEADLINES[self.verdict].format(failed=f"{failed} check{'s' if failed != 1 else ''}")
        return verdict + (f" {_drift_sentence(self)}" if self.drifted else "")

    def lines(self) -> list[str]:
        """The findings as plain text, one per line: the verdict, then every violated check."""
        details = (f"{label}: {check.detail}" if label else check.detail for label, check in self.violations())
        return [clean(line) for line in (f"{self.name}: {self.headline()}", *details)]

    def to_json(self, *, indent: int | None = None) -> str:
        """The report as one JSON document.

        Its keys are ``format`` and the fields of this class; nested objects have the fields of the classes above.
        Keys are only ever added within a format.
        """
        return json.dumps({"format": FORMAT, **asdict(self)}, indent=indent, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Report:
        """Reads what :meth:`to_json` wrote; keys of a later version are passed over.

        Raises:
            ValueError: it is not such a document.
        """
        try:
            document = json.loads(text)
            if document["format"] != FORMAT:
                raise ValueError(f"its format is {document['format']!r}")
            report: Report = decode(cls, document)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"not a {FORMAT} document ({error}); monitor again to get a new one") from error
        return report


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The most severe of some verdicts; of none, "no data"."""
    found = set(verdicts)
    return next((verdict for verdict in SEVERITY if verdict in found), "no data")


_HEADLINES: Final[Mapping[Verdict, str]] = {
    "failed": "{failed} failed.",
    "drift": "The data has moved away from the reference.",
    "no data": "There was nothing to check.",
    "ok": "Every check passed.",
}


def _drift_sentence(report: Report) -> str:
    where = enumeration([clip(period.label, 40) for period in report.periods if period.drifted])
    return f"Drifted in {where}: {enumeration([clip(name, 40) for name in report.drifted])}."
