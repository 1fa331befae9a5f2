"""From tables to a report: every column of every period against the reference, one column at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from . import drift, quality
from .histograms import histograms
from .operational import operational_checks
from .periods import Period, Traffic
from .profiles import ColumnProfile, Profile, profile
from .report import (
    DRIFT_CHECKS,
    UNDECIDED,
    Check,
    Checks,
    ColumnReport,
    Histogram,
    PeriodReport,
    ReferenceSummary,
    Report,
    Variety,
    Veracity,
    Verdict,
    VersionMetrics,
    Volume,
    worst,
)
from .timeline import arrivals, instant, trends

if TYPE_CHECKING:
    import polars as pl

    from .samples import Sample

#: Of how many drifted columns the movement over time is kept.
TRENDS: Final = 24

#: A column of one period, with what was checked of it.
Finding = tuple[ColumnReport, list[Check]]


def assess(
    name: str,
    periods: Sequence[Period],
    *,
    reference: pl.DataFrame | Profile | None = None,
    checks: Checks | None = None,
    operational: Sequence[VersionMetrics] = (),
    ignore: Collection[str] = (),
    units: Mapping[str, str] | None = None,
    reference_label: str = "reference",
    now: datetime | None = None,
) -> Report:
    """Holds each period against the reference, and each version against the limits.

    Args:
        name: what is monitored.
        periods: the traffic; each is compared with the reference on its own.
        reference: what the model was trained on, or its profile; None: nothing is said about drift.
        checks: the limits; by default those of :class:`Checks`.
        operational: what each deployed version did.
        ignore: columns to leave out, such as the label that live rows do not have.
        units: column to unit, for labels.
        reference_label: how the reference is called.
        now: when the report is made; by default now.

    Raises:
        ValueError: a period's times do not fit its rows.
    """
    limits = checks or Checks()
    known = _without(_profiled(reference), ignore)
    traffic = [Traffic.of(period) for period in periods]
    findings = _findings(known, traffic, limits, ignore)
    reports = [_period(one, known, found, limits, ignore) for one, found in zip(traffic, findings, strict=True)]
    version_checks = tuple(operational_checks(operational, limits))
    drifted = _by_severity(reports)
    return Report(
        name=name,
        created=instant((now or datetime.now(UTC)).timestamp()),
        verdict=_verdict(reports, version_checks, operational),
        drifted=drifted,
        reference=_summary(known, reference_label, drifted) if known else None,
        periods=tuple(_with_trends(report, one, drifted) for report, one in zip(reports, traffic, strict=True)),
        operational=tuple(operational),
        checks=version_checks,
        thresholds=limits,
        units=dict(units or {}),
    )


def _profiled(reference: pl.DataFrame | Profile | None) -> Profile | None:
    return reference if reference is None or isinstance(reference, Profile) else profile(reference)


def _without(known: Profile | None, ignore: Collection[str]) -> Profile | None:
    if known is None:
        return None
    return Profile({name: column for name, column in known.columns.items() if name not in ignore}, known.rows)


def _findings(
    known: Profile | None, traffic: Sequence[Traffic], checks: Checks, ignore: Collection[str]
) -> list[list[Finding]]:
    """For each period its columns; the outer loop is over columns, so that only one is held at a time."""
    found: list[list[Finding]] = [[] for _ in traffic]
    for name, column in _expected(known, traffic, ignore).items():
        samples = [one.sample(name, column) for one in traffic]
        shapes = histograms(column, samples)
        for at, (sample, shape) in enumerate(zip(samples, shapes, strict=True)):
            if sample is not None:
                found[at].append(_finding(name, column, sample, shape, checks))
    return found


def _expected(
    known: Profile | None, traffic: Sequence[Traffic], ignore: Collection[str]
) -> Mapping[str, ColumnProfile | None]:
    if known is not None:
        return known.columns
    return {name: None for one in traffic for name in one.captured.frame.columns if name not in ignore}


def _finding(
    name: str, column: ColumnProfile | None, sample: Sample, shape: Histogram | None, checks: Checks
) -> Finding:
    distances = drift.measure(column, sample) if column else drift.Distances()
    shares = quality.measure(column, sample)
    moved = drift.drift_checks(name, distances, checks)
    bad = quality.quality_checks(name, shares, checks)
    if drift.undecided(moved):
        distances = replace(distances, note=UNDECIDED)
    report = ColumnReport(
        name=name,
        kind=column.kind if column else sample.kind,
        values=sample.present,
        drifted=not all(check.passed for check in moved),
        failed=not all(check.passed for check in bad),
        histogram=shape,
        **asdict(distances),
        **asdict(shares),
    )
    return report, [*moved, *bad]


def _period(
    traffic: Traffic, known: Profile | None, findings: Sequence[Finding], checks: Checks, ignore: Collection[str]
) -> PeriodReport:
    columns = tuple(report for report, _ in findings)
    variety = _variety(traffic, known, columns, ignore)
    repeated = quality.duplicate_share(traffic.captured.frame)
    found = quality.table_checks(variety.missing_columns, repeated, checks) if traffic.rows else []
    found += [check for _, part in findings for check in part]
    started, ended = traffic.window
    return PeriodReport(
        label=traffic.label,
        rows=traffic.rows,
        started=started,
        ended=ended,
        verdict=_period_verdict(traffic.rows, found),
        drifted=_ordered({column.name: column.psi or 0.0 for column in columns if column.drifted}),
        volume=Volume(traffic.rows, known.rows if known else None),
        velocity=traffic.velocity,
        veracity=_veracity(columns, repeated),
        variety=variety,
        columns=columns,
        checks=tuple(found),
        arrivals=arrivals(traffic.line) if traffic.line else None,
    )


def _variety(
    traffic: Traffic, known: Profile | None, columns: Sequence[ColumnReport], ignore: Collection[str]
) -> Variety:
    there = [name for name in traffic.captured.frame.columns if name not in ignore]
    if known is None or not traffic.rows:
        return Variety(len(there), len(known.columns) if known else None)
    return Variety(
        columns=len(there),
        expected=len(known.columns),
        missing_columns=tuple(name for name in known.columns if name not in set(there)),
        unexpected_columns=tuple(name for name in there if name not in known.columns),
        new_categories=tuple(column.name for column in columns if column.new_categories),
    )


def _veracity(columns: Sequence[ColumnReport], repeated: float) -> Veracity:
    if not columns:
        return Veracity(duplicates=repeated)
    numbers = [(column.outside, column.values) for column in columns if column.outside is not None]
    values = sum(count for _, count in numbers)
    return Veracity(
        missing=sum(column.missing for column in columns) / len(columns),
        types=sum(column.types for column in columns) / len(columns),
        outside=sum(share * count for share, count in numbers) / values if values else None,
        duplicates=repeated,
    )


def _period_verdict(rows: int, checks: Sequence[Check]) -> Verdict:
    if not rows:
        return "no data"
    broken = {check.name for check in checks if not check.passed}
    if broken - DRIFT_CHECKS:
        return "failed"
    return "drift" if broken else "ok"


def _verdict(
    periods: Sequence[PeriodReport], checks: Sequence[Check], operational: Sequence[VersionMetrics]
) -> Verdict:
    found = [period.verdict for period in periods]
    if any(version.requests for version in operational):
        found.append("ok" if all(check.passed for check in checks) else "failed")
    return worst(found)


def _by_severity(periods: Sequence[PeriodReport]) -> tuple[str, ...]:
    largest: dict[str, float] = {}
    for column in (column for period in periods for column in period.columns if column.drifted):
        largest[column.name] = max(largest.get(column.name, 0.0), column.psi or 0.0)
    return _ordered(largest)


def _ordered(severity: Mapping[str, float]) -> tuple[str, ...]:
    return tuple(sorted(severity, key=lambda name: (-severity[name], name)))


def _summary(known: Profile, label: str, drifted: Sequence[str]) -> ReferenceSummary:
    numbers = {name: known.columns[name].sample.numbers for name in drifted[:TRENDS]}
    bands = {name: tuple(one.quantiles([0.1, 0.5, 0.9]).tolist()) for name, one in numbers.items() if one is not None}
    return ReferenceSummary(label, known.rows, len(known.columns), bands)


def _with_trends(report: PeriodReport, traffic: Traffic, drifted: Sequence[str]) -> PeriodReport:
    shown = set(drifted[:TRENDS])
    names = [column.name for column in report.columns if column.name in shown and column.kind == "number"]
    if traffic.line is None or not names:
        return report
    moved = trends(traffic.line, traffic.captured.frame, names)
    columns = tuple(replace(column, trend=moved.get(column.name)) for column in report.columns)
    return replace(report, columns=columns)
