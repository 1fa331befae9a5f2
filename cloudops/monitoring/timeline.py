"""When rows came, and how a column moved meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from .report import Arrivals, Trend

if TYPE_CHECKING:
    import polars as pl

#: Into how many stretches a period is cut at most.
STRETCHES: Final = 48
#: The lengths to choose from, in seconds: people read clocks and calendars.
_LENGTHS: Final = (1, 5, 15, 60, 300, 900, 3600, 3 * 3600, 6 * 3600, 86400, 7 * 86400, 30 * 86400, 365 * 86400)


@dataclass(frozen=True, slots=True, eq=False)
class Timeline:
    """The instants of a period's rows, and the stretches that they fall into.

    Args:
        stretch: the beginning of each row's stretch, in seconds since 1970 (UTC); null where the instant is missing.
        seconds: the length of a stretch.
        first: the earliest instant, in seconds since 1970; ``last`` alike.
    """

    stretch: pl.Series
    seconds: float
    first: float
    last: float


def timeline(times: Any) -> Timeline | None:
    """The timeline of instants: datetimes, ISO 8601 text or seconds since 1970; None when none of them is one."""
    import polars as pl

    seconds = _seconds(pl.Series("time", times, strict=False))
    if seconds.null_count() == seconds.len():
        return None
    first, last = _float(seconds.min()), _float(seconds.max())
    length = next((one for one in _LENGTHS if (last - first) / one < STRETCHES), (last - first) / (STRETCHES - 1))
    return Timeline((seconds / length).floor() * length, float(length), first, last)


def arrivals(line: Timeline) -> Arrivals:
    """How many rows came in each stretch, the empty ones included."""
    counted = line.stretch.drop_nulls().value_counts(name="rows")
    rows = dict(zip(counted[line.stretch.name].to_list(), counted["rows"].to_list(), strict=True))
    first, last = min(rows), max(rows)
    starts = [first + at * line.seconds for at in range(round((last - first) / line.seconds) + 1)]
    return Arrivals(tuple(map(instant, starts)), line.seconds, tuple(rows.get(start, 0) for start in starts))


def trends(line: Timeline, frame: pl.DataFrame, names: Sequence[str]) -> dict[str, Trend]:
    """How each numeric column moved, from stretch to stretch."""
    import polars as pl

    columns = [pl.col(name).cast(pl.Float64, strict=False).alias(f"c{at}") for at, name in enumerate(names)]
    table = frame.select(line.stretch.alias("stretch"), *columns).drop_nulls("stretch")
    found = {}
    for at, name in enumerate(names):
        value = pl.col(f"c{at}")
        held = table.filter(value.is_finite()).group_by("stretch").agg(*_band(value)).sort("stretch")
        if held.height:
            found[name] = _trend(held)
    return found


def instant(seconds: float) -> str:
    """Seconds since 1970 as ISO 8601 text, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _band(value: pl.Expr) -> list[pl.Expr]:
    return [
        value.quantile(share, "lower").alias(name) for share, name in ((0.1, "low"), (0.5, "middle"), (0.9, "high"))
    ]


def _trend(held: pl.DataFrame) -> Trend:
    parts = {name: tuple(held[name].to_list()) for name in ("low", "middle", "high")}
    return Trend(starts=tuple(map(instant, held["stretch"].to_list())), **parts)


def _seconds(times: pl.Series) -> pl.Series:
    """As seconds since 1970, null where that is no instant; a time without a zone is taken as UTC."""
    import polars as pl

    if times.dtype == pl.String:
        times = times.str.to_datetime(time_zone="UTC", time_unit="us", strict=False, ambiguous="earliest")
    if times.dtype == pl.Date:
        times = times.cast(pl.Datetime("us"))
    if isinstance(times.dtype, pl.Datetime):
        return times.dt.epoch("us") / 1e6
    if not times.dtype.is_numeric():
        return pl.repeat(None, times.len(), dtype=pl.Float64, eager=True).alias(times.name)
    values = times.cast(pl.Float64)
    return values.set(~values.is_finite() | (values.abs() > _YEAR_9999), None)


_YEAR_9999: Final = 253_000_000_000.0


def _float(value: Any) -> float:
    return float(value)
