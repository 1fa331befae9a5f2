"""Per-series alignment: the points of each period become one, at its end (google/monitoring/v3/common.proto).

Periods are counted back from the end of the interval that is asked for. What is counted over a time belongs to the
period that this time ends in.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .distributions import Distribution
from .metric_types import BOOL, CUMULATIVE, DELTA, DISTRIBUTION, DOUBLE, GAUGE, INT64, MetricType
from .protocol.errors import ServiceError
from .series import Point, Value

_NUMBERS = frozenset({INT64, DOUBLE})
_SHARES = {"99": 0.99, "95": 0.95, "50": 0.5, "05": 0.05}


@dataclass(frozen=True, slots=True)
class _Rule:
    """What an aligner takes and makes.

    Args:
        kinds: of metrics that it takes.
        types: of values that it takes.
        value: of the points of a period, which are one at least.
        kind: of the result; empty for that of the metric.
        value_type: of the result; empty for that of the metric.
        unit: of the result; None for that of the metric.
    """

    kinds: frozenset[str]
    types: frozenset[str]
    value: Callable[[Sequence[Any]], Value]
    kind: str = GAUGE
    value_type: str = ""
    unit: str | None = None


def total(values: Sequence[Any]) -> Any:
    """The sum of numbers or of distributions."""
    return functools.reduce(lambda one, other: one + other, values)


def mean(values: Sequence[Any]) -> float:
    """The mean of numbers."""
    return math.fsum(values) / len(values)


def deviation(values: Sequence[Any]) -> float:
    """The standard deviation of numbers."""
    middle = mean(values)
    return math.sqrt(math.fsum((value - middle) ** 2 for value in values) / len(values))


def _percentile(values: Sequence[Distribution], share: float) -> float:
    found = total(values).percentile(share)
    return math.nan if found is None else float(found)


_GAUGES, _COUNTED, _ACCUMULATED = frozenset({GAUGE}), frozenset({GAUGE, DELTA}), frozenset({CUMULATIVE, DELTA})
_RULES: Mapping[str, _Rule] = {
    "ALIGN_DELTA": _Rule(_ACCUMULATED, _NUMBERS | {DISTRIBUTION}, total, DELTA),
    "ALIGN_RATE": _Rule(_ACCUMULATED, _NUMBERS, total, GAUGE, DOUBLE),
    "ALIGN_NEXT_OLDER": _Rule(_GAUGES, _NUMBERS | {BOOL, "STRING", DISTRIBUTION}, lambda values: values[-1]),
    "ALIGN_MIN": _Rule(_COUNTED, _NUMBERS, min),
    "ALIGN_MAX": _Rule(_COUNTED, _NUMBERS, max),
    "ALIGN_MEAN": _Rule(_COUNTED, _NUMBERS, mean, GAUGE, DOUBLE),
    "ALIGN_STDDEV": _Rule(_COUNTED, _NUMBERS, deviation, GAUGE, DOUBLE),
    "ALIGN_SUM": _Rule(_COUNTED, _NUMBERS | {DISTRIBUTION}, total, ""),
    "ALIGN_COUNT": _Rule(_COUNTED, _NUMBERS | {BOOL}, len, "", INT64, "1"),
    "ALIGN_COUNT_TRUE": _Rule(_GAUGES, frozenset({BOOL}), sum, GAUGE, INT64, "1"),
    "ALIGN_COUNT_FALSE": _Rule(_GAUGES, frozenset({BOOL}), lambda values: len(values) - sum(values), GAUGE, INT64, "1"),
    "ALIGN_FRACTION_TRUE": _Rule(_GAUGES, frozenset({BOOL}), mean, GAUGE, DOUBLE, "1"),
    **{
        f"ALIGN_PERCENTILE_{name}": _Rule(
            _COUNTED, frozenset({DISTRIBUTION}), functools.partial(_percentile, share=share), GAUGE, DOUBLE
        )
        for name, share in _SHARES.items()
    },
}


def result(aligner: str, metric: MetricType) -> MetricType:
    """What kind and type a metric has when it is aligned.

    Raises:
        ServiceError: INVALID_ARGUMENT: the aligner does not go with it; UNIMPLEMENTED: it is not emulated.
    """
    rule = _RULES.get(aligner)
    if rule is None:
        raise ServiceError("UNIMPLEMENTED", f"The aligner {aligner} is not emulated by the offline cloud.")
    if metric.kind not in rule.kinds or metric.value_type not in rule.types:
        raise ServiceError(
            "INVALID_ARGUMENT",
            f'Field aggregation.perSeriesAligner had an invalid value of "{aligner}": The aligner cannot be applied to '
            f"metrics with kind {metric.kind} and value type {metric.value_type}.",
        )
    unit = metric.unit if rule.unit is None else rule.unit
    if aligner == "ALIGN_RATE":
        unit = f"{metric.unit}/s"
    kind, value_type = rule.kind or metric.kind, rule.value_type or metric.value_type
    return replace(metric, kind=kind, value_type=value_type, unit=unit)


def align(
    points: Sequence[Point], metric: MetricType, aligner: str, *, period: int, start: int, end: int
) -> list[Point]:
    """One point for each period that has a value, oldest first.

    Args:
        points: of a series, oldest first, from before ``start`` on.
        metric: that they are of.
        aligner: as the API calls it; :func:`result` takes it.
        period: nanoseconds.
        start: of the interval, in nanoseconds; periods that end at or before it are left out.
        end: of the interval.
    """
    if metric.kind == CUMULATIVE:
        points = increments(points)
    rule, kind = _RULES[aligner], result(aligner, metric).kind
    found = []
    for last, values in (_older if aligner == "ALIGN_NEXT_OLDER" else _grouped)(points, period, start, end):
        value = rule.value(values)
        if aligner == "ALIGN_RATE":
            assert isinstance(value, (int, float))
            value = value / (period / 1e9)
        found.append(Point(last - period if kind == DELTA else last, last, value))
    return found


def _grouped(points: Sequence[Point], period: int, start: int, end: int) -> Iterator[tuple[int, list[Value]]]:
    """The periods that have points, by their ends, with their values."""
    for number, group in itertools.groupby(points, lambda point: (end - point.end) // period):
        last = end - number * period
        if number >= 0 and last > start:
            yield last, [point.value for point in group]


def _older(points: Sequence[Point], period: int, start: int, end: int) -> Iterator[tuple[int, list[Value]]]:
    """All periods from the first point on, with the newest value that is not after their ends, however old it is."""
    ends = [point.end for point in points]
    for last in reversed(range(end, max(start, ends[0] - 1) if ends else end, -period)):
        yield last, [points[bisect.bisect_right(ends, last) - 1].value]


def increments(points: Sequence[Point]) -> list[Point]:
    """What accumulates, as what was added from point to point; it begins anew where the start differs."""
    found = [Point(point.start, point.end, point.value) for point in points[:1]]
    for before, point in itertools.pairwise(points):
        value: Any = point.value
        earlier: Any = before.value
        if point.start == before.start:
            found.append(Point(before.end, point.end, value - earlier))
        else:
            found.append(point)
    return found
