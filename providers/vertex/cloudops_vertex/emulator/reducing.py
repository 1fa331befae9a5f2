"""Cross-series reduction: aligned series of the same group become one (google/monitoring/v3/common.proto)."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .aligning import deviation, mean, total
from .distributions import Distribution
from .metric_filter import label
from .metric_types import BOOL, CUMULATIVE, DISTRIBUTION, DOUBLE, GAUGE, INT64, STRING, MetricType
from .protocol.errors import ServiceError
from .series import Key, Point, Value

_NUMBERS = frozenset({INT64, DOUBLE})
_SHARES = {"99": 0.99, "95": 0.95, "50": 0.5, "05": 0.05}


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a reducer takes and makes; empty for what the series had."""

    types: frozenset[str]
    value: Callable[[Sequence[Any]], Value]
    value_type: str = ""
    unit: str | None = None
    kind: str = GAUGE


def _mean(values: Sequence[Any]) -> float:
    return float(total(values).mean) if isinstance(values[0], Distribution) else mean(values)


def _deviation(values: Sequence[Any]) -> float:
    if isinstance(values[0], Distribution):
        whole = total(values)
        return math.sqrt(whole.spread / whole.count) if whole.count else 0.0
    return deviation(values)


def _percentile(values: Sequence[Any], share: float) -> float:
    if isinstance(values[0], Distribution):
        found = total(values).percentile(share)
        return math.nan if found is None else float(found)
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low, high = math.floor(place), math.ceil(place)
    return float(ordered[low] + (ordered[high] - ordered[low]) * (place - low))


_MIXED = _NUMBERS | {DISTRIBUTION}
_TRUTHS = frozenset({BOOL})
_RULES: Mapping[str, _Rule] = {
    "REDUCE_SUM": _Rule(_MIXED, total, kind=""),
    "REDUCE_MEAN": _Rule(_MIXED, _mean, DOUBLE),
    "REDUCE_STDDEV": _Rule(_MIXED, _deviation, DOUBLE),
    "REDUCE_MIN": _Rule(_NUMBERS, min),
    "REDUCE_MAX": _Rule(_NUMBERS, max),
    "REDUCE_COUNT": _Rule(_MIXED | {BOOL, STRING}, len, INT64, "1"),
    "REDUCE_COUNT_TRUE": _Rule(_TRUTHS, sum, INT64, "1"),
    "REDUCE_COUNT_FALSE": _Rule(_TRUTHS, lambda values: len(values) - sum(values), INT64, "1"),
    "REDUCE_FRACTION_TRUE": _Rule(_TRUTHS, mean, DOUBLE, "1"),
    **{
        f"REDUCE_PERCENTILE_{name}": _Rule(_MIXED, functools.partial(_percentile, share=share), DOUBLE)
        for name, share in _SHARES.items()
    },
}


def result(reducer: str, metric: MetricType) -> MetricType:
    """What kind and type an aligned metric has when it is reduced.

    Raises:
        ServiceError: INVALID_ARGUMENT: the reducer does not go with it; UNIMPLEMENTED: it is not emulated.
    """
    rule = _RULES.get(reducer)
    if rule is None:
        raise ServiceError("UNIMPLEMENTED", f"The reducer {reducer} is not emulated by the offline cloud.")
    if metric.kind == CUMULATIVE or metric.value_type not in rule.types:
        raise ServiceError(
            "INVALID_ARGUMENT",
            f'Field aggregation.crossSeriesReducer had an invalid value of "{reducer}": The reducer cannot be applied '
            f"to metrics with kind {metric.kind} and value type {metric.value_type}.",
        )
    unit = metric.unit if rule.unit is None else rule.unit
    return replace(metric, kind=rule.kind or metric.kind, value_type=rule.value_type or metric.value_type, unit=unit)


def reduce(
    series: Sequence[tuple[Key, list[Point]]], reducer: str, fields: Sequence[str], *, gauge: bool
) -> list[tuple[Key, list[Point]]]:
    """The groups, each one series, in the order of their keys.

    Args:
        series: aligned, of the same metric.
        reducer: as the API calls it; :func:`result` takes it.
        fields: that a group has in common, such as ``resource.label.endpoint_id``; without any, all series of the
            same type of resource are one group.
        gauge: whether the result is one.

    Raises:
        ServiceError: INVALID_ARGUMENT: a field is none, or the buckets of the distributions differ.
    """
    rule, wanted = _RULES[reducer], [(name, label(name)) for name in fields]
    groups: dict[Key, dict[int, list[Point]]] = {}
    for key, points in series:
        of_group = groups.setdefault(_group(key, wanted), {})
        for point in points:
            of_group.setdefault(point.end, []).append(point)
    return [(key, _reduced(rule, by_end, gauge)) for key, by_end in sorted(groups.items(), key=lambda one: one[0])]


def _reduced(rule: _Rule, by_end: Mapping[int, list[Point]], gauge: bool) -> list[Point]:
    made = []
    for end, points in sorted(by_end.items()):
        try:
            value = rule.value([point.value for point in points])
        except ValueError as error:
            raise ServiceError("INVALID_ARGUMENT", f"The time series cannot be combined: {error}.") from None
        made.append(Point(end if gauge else points[0].start, end, value))
    return made


def _group(key: Key, fields: Sequence[tuple[str, Callable[[Key], str | None]]]) -> Key:
    """The key of the group that a series is in: what it has in common with the others, and no more."""
    metric: list[tuple[str, str]] = []
    resource: list[tuple[str, str]] = []
    for name, value_of in fields:
        value = value_of(key)
        parts = name.split(".", 2)
        if value is not None and len(parts) == 3:
            (metric if parts[0] == "metric" else resource).append((parts[2].strip('"'), value))
    return Key(key.project, key.metric_type, tuple(sorted(metric)), key.resource_type, tuple(sorted(resource)))
