"""What several sections of the page share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape

from .formats import clean, clip
from .report import ColumnReport, PeriodReport, Report, Verdict

#: How many series one chart and one row of the table show; beyond, the worst and the latest period stand for all.
SERIES = 4

_MARKS: dict[Verdict, str] = {"failed": "✕", "drift": "▲", "no data": "○", "ok": "✓"}


def esc(text: str) -> str:
    """Text that is safe within elements and quoted attributes."""
    return escape(clean(text), quote=True)


def badge(verdict: Verdict, text: str = "") -> str:
    """A verdict as a mark, a word and a colour: none of them alone carries it."""
    return f'<span class="badge {verdict.replace(" ", "")}">{_MARKS[verdict]} {esc(text or verdict)}</span>'


def key(label: str, style: str, value: str = "") -> str:
    """A period's colour, its name and, where given, its value."""
    more = f" <b>{esc(value)}</b>" if value else ""
    return f'<span class="key"><i class="swatch {style}"></i><span>{esc(clip(label, 40))}{more}</span></span>'


@dataclass(frozen=True, slots=True)
class Shown:
    """A column in one period, and the class that colours it."""

    period: PeriodReport
    column: ColumnReport
    style: str

    @property
    def key(self) -> str:
        """The period's colour and name."""
        return key(self.period.label, self.style)


def style_at(report: Report, position: int) -> str:
    """The class of the period at a position: each has its own, unless there are too many to tell apart."""
    return f"s{position}" if len(report.periods) <= SERIES else "s0"


def shown_periods(report: Report, name: str) -> list[Shown]:
    """The periods in which a column is shown: all of them, or of many the worst and the latest."""
    found = [
        Shown(period, column, style_at(report, at))
        for at, period in enumerate(report.periods)
        if (column := period.column(name)) is not None
    ]
    if len(report.periods) <= SERIES or not found:
        return found
    worst = max(found, key=lambda shown: severity(shown.column))
    return [found[-1]] if worst is found[-1] else [found[-1], replace(worst, style="s1")]


def severity(column: ColumnReport) -> tuple[bool, bool, float]:
    """What a column is sorted by: the failed first, then the drifted, then by stability index."""
    return column.failed, column.drifted, column.psi or 0.0


def by_severity(report: Report) -> list[str]:
    """All columns, the worst first."""
    worst: dict[str, tuple[bool, bool, float]] = {}
    for column in (column for period in report.periods for column in period.columns):
        worst[column.name] = max(worst.get(column.name, severity(column)), severity(column))
    return sorted(worst, key=lambda name: worst[name], reverse=True)


def verdict_of(columns: Sequence[ColumnReport]) -> Verdict:
    """The verdict on one column over some periods."""
    if any(column.failed for column in columns):
        return "failed"
    return "drift" if any(column.drifted for column in columns) else "ok"
