"""A labelled stretch of traffic: what a caller hands in, and the same made ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .report import Velocity
from .rows import Captured
from .samples import Sample, take
from .timeline import Timeline, instant, timeline

if TYPE_CHECKING:
    import polars as pl

    from .profiles import ColumnProfile


@dataclass(frozen=True, slots=True, eq=False)
class Period:
    """One labelled stretch of traffic.

    Args:
        label: how it is called, such as "june".
        table: its rows, from a file or captured.
        started: when it began; by default the earliest of ``times``. A time without a zone is taken as UTC.
        ended: when it ended; by default the latest of ``times``.
        times: when each row came: the name of a column, or one instant per row (datetimes, ISO 8601 text, or seconds
            since 1970). For how fast rows come and how columns move.
    """

    label: str
    table: pl.DataFrame | Captured
    started: datetime | None = None
    ended: datetime | None = None
    times: str | Sequence[Any] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Traffic:
    """A period made ready: its rows, and when they came in seconds since 1970."""

    label: str
    captured: Captured
    started: float | None = None
    ended: float | None = None
    line: Timeline | None = field(default=None)

    @classmethod
    def of(cls, period: Period) -> Traffic:
        """The traffic of a period.

        Raises:
            ValueError: ``times`` names no column, or has not one instant per row.
        """
        table = period.table
        captured = table if isinstance(table, Captured) else Captured(table, table.height)
        line = _line(period, captured)
        first, last = (line.first, line.last) if line else (None, None)
        started = _stamp(period.started) if period.started else first
        ended = _stamp(period.ended) if period.ended else last
        return cls(period.label, captured, started, ended, line)

    @property
    def rows(self) -> int:
        """How many rows came."""
        return self.captured.rows

    @property
    def velocity(self) -> Velocity:
        """The period's length, and rows per second."""
        if self.started is None or self.ended is None or self.ended <= self.started:
            return Velocity()
        seconds = self.ended - self.started
        return Velocity(seconds, self.rows / seconds)

    @property
    def window(self) -> tuple[str | None, str | None]:
        """Beginning and end as text."""
        started, ended = (None if at is None else instant(at) for at in (self.started, self.ended))
        return started, ended

    def sample(self, name: str, column: ColumnProfile | None) -> Sample | None:
        """The values of a column, read as the reference's kind; None when it is not there."""
        frame = self.captured.frame
        if not self.rows or name not in frame.columns:
            return None
        kind, dtype = (column.kind, column.dtype) if column else (None, "")
        return take(frame[name], kind, dtype=dtype, violations=self.captured.violations.get(name, 0))


def _line(period: Period, captured: Captured) -> Timeline | None:
    times = period.times
    if times is None or not captured.rows:
        return None
    if isinstance(times, str):
        if times not in captured.frame.columns:
            raise ValueError(f"period {period.label!r}: no column {times!r} to read times from; name one that is there")
        return timeline(captured.frame[times])
    if len(times) != captured.rows:
        raise ValueError(f"period {period.label!r}: {len(times)} times for {captured.rows} rows; pass one per row")
    return timeline(times)


def _stamp(at: datetime) -> float:
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
