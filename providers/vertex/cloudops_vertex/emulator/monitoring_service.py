"""Cloud Monitoring: time series are listed, aligned, reduced and written; metrics are described.

Groups, alerting policies, uptime checks and the query languages (MQL, PromQL) are not emulated.
"""

from __future__ import annotations

import bisect
from typing import Any

from . import aligning, paging, reducing
from .methods import Call, implements
from .metric_filter import MetricFilter
from .metric_types import MetricType
from .protocol.errors import ServiceError
from .protocol.pool import message
from .series import Key, Point

#: Points, or series, or descriptors of a page, at most (google/monitoring/v3/metric_service.proto).
_POINTS, _DESCRIPTORS = 100_000, 10_000
#: Seconds of the shortest and the longest alignment period (google/monitoring/v3/common.proto).
_SHORTEST, _LONGEST = 60, 104 * 7 * 86400
_SECOND = 10**9
#: What a query says of a metric that nobody has written yet.
_SOON = "If a metric was created recently, it could take up to 10 minutes to become available. Please try again soon."


@implements("MetricService.ListTimeSeries")
def list_time_series(call: Call, request: Any) -> Any:
    """A page of the series that a filter wants, newest points first."""
    project = project_of(call, request.name)
    if request.order_by:
        raise _invalid("orderBy", request.order_by, "it must be left blank; the newest points come first.")
    if request.HasField("secondary_aggregation"):
        text = "A secondary aggregation is not emulated by the offline cloud."
        raise ServiceError("UNIMPLEMENTED", text)
    start, end = _interval(request.interval)
    metric, found = _aggregated(call, project, MetricFilter(request.filter), request.aggregation, start, end)
    headers = request.view == 1
    question = (project, request.filter, start, end, request.aggregation.SerializeToString(True), headers)
    after = paging.place(question, request.page_token)
    page, place = _page(found, min(request.page_size or _POINTS, _POINTS), after, headers=headers)
    series = [_to_message(key, metric, points) for key, points in page]
    return call.answer(
        time_series=series, next_page_token=paging.token(question, place) if place else "", unit=metric.unit
    )


def _aggregated(
    call: Call, project: str, wanted: MetricFilter, aggregation: Any, start: int, end: int
) -> tuple[MetricType, list[tuple[Key, list[Point]]]]:
    """The metric that comes out, and its series with points, oldest first."""
    store = call.site.series
    metric = _known(call, project, wanted)
    aligner, reducer = _names(aggregation)
    period = _period(aggregation, aligner)
    given, found = metric, store.select(project, metric.type, wanted.matches)
    if aligner == "ALIGN_NONE":
        if reducer != "REDUCE_NONE":
            text = "it must be specified, and not be ALIGN_NONE, where a crossSeriesReducer is."
            raise _invalid("aggregation.perSeriesAligner", aligner, text)
        return metric, [(key, cut) for key, points in found if (cut := _within(points, start, end))]
    metric = aligning.result(aligner, metric)
    made = [(key, aligning.align(points, given, aligner, period=period, start=start, end=end)) for key, points in found]
    made = [(key, points) for key, points in made if points]
    if reducer != "REDUCE_NONE":
        metric = reducing.result(reducer, metric)
        made = reducing.reduce(made, reducer, list(aggregation.group_by_fields), gauge=metric.kind == "GAUGE")
    elif aggregation.group_by_fields:
        text = "it goes with a crossSeriesReducer only."
        raise _invalid("aggregation.groupByFields", ",".join(aggregation.group_by_fields), text)
    return metric, made


def _known(call: Call, project: str, wanted: MetricFilter) -> MetricType:
    name = wanted.metric_type()
    try:
        metric = call.site.series.type(project, name)
    except KeyError:
        raise ServiceError("NOT_FOUND", f'Cannot find metric(s) that match type = "{name}". {_SOON}') from None
    types = wanted.resource_types()
    if types and metric.resources and not types <= set(metric.resources):
        text = (
            "The supplied filter does not specify a valid combination of metric and monitored resource descriptors. "
            "The query will not return any time series."
        )
        raise ServiceError("INVALID_ARGUMENT", text)
    return metric


def _names(aggregation: Any) -> tuple[str, str]:
    """Aligner and reducer by their names."""
    found = []
    for field in ("per_series_aligner", "cross_series_reducer"):
        number = getattr(aggregation, field)
        value = aggregation.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number.get(number)
        if value is None:
            raise _invalid(f"aggregation.{field}", str(number), "there is no such value.")
        found.append(value.name)
    return found[0], found[1]


def _period(aggregation: Any, aligner: str) -> int:
    """The alignment period in nanoseconds; 0 where nothing is aligned."""
    period = int(aggregation.alignment_period.ToNanoseconds())
    if aligner == "ALIGN_NONE":
        return 0
    if not _SHORTEST * _SECOND <= period <= _LONGEST * _SECOND:
        text = f"it must be at least {_SHORTEST} seconds, and no longer than {_LONGEST} (104 weeks)."
        raise _invalid("aggregation.alignmentPeriod", f"{period / _SECOND:g}s", text)
    return period


def _interval(interval: Any) -> tuple[int, int]:
    """Start and end in nanoseconds; a start that is not given is the end itself."""
    if not interval.HasField("end_time"):
        raise _invalid("interval.endTime", "", "it must be specified.")
    end = int(interval.end_time.ToNanoseconds())
    start = int(interval.start_time.ToNanoseconds()) if interval.HasField("start_time") else end
    if start > end:
        shown = interval.start_time.ToJsonString()
        raise _invalid("interval.startTime", shown, "the start time must not be later than the end time.")
    return start, end


def _within(points: list[Point], start: int, end: int) -> list[Point]:
    """Those that end within (start, end], or at both where they are the same."""
    ends = [point.end for point in points]
    begin = bisect.bisect_left(ends, end) if start == end else bisect.bisect_right(ends, start)
    return points[begin : bisect.bisect_right(ends, end)]


def _page(
    found: list[tuple[Key, list[Point]]], size: int, after: Any, *, headers: bool
) -> tuple[list[tuple[Key, list[Point]]], list[int] | None]:
    """The next series, newest points first; and how many series and points lie before the next page, if there is one.

    A page holds so many points, of headers so many series; a series may go on on the next page.
    """
    number, skipped = after or (0, 0)
    page: list[tuple[Key, list[Point]]] = []
    while number < len(found):
        if size == 0:
            return page, [number, skipped]
        key, points = found[number]
        taken = [] if headers else points[::-1][skipped : skipped + size]
        page.append((key, taken))
        size -= 1 if headers else len(taken)
        if not headers and skipped + len(taken) < len(points):
            return page, [number, skipped + len(taken)]
        number, skipped = number + 1, 0
    return page, None


def _to_message(key: Key, metric: MetricType, points: list[Point]) -> Any:
    """A series as the API has it."""
    made: Any = message("google.monitoring.v3.TimeSeries")()
    made.metric.type = key.metric_type
    made.metric.labels.update(dict(key.metric_labels))
    made.resource.type = key.resource_type
    made.resource.labels.update(dict(key.resource_labels))
    for field, name in (("metric_kind", metric.kind), ("value_type", metric.value_type)):
        setattr(made, field, made.DESCRIPTOR.fields_by_name[field].enum_type.values_by_name[name].number)
    made.unit = metric.unit
    for point in points:
        added = made.points.add()
        added.interval.start_time.FromNanoseconds(point.start)
        added.interval.end_time.FromNanoseconds(point.end)
        if metric.value_type == "DISTRIBUTION":
            value: Any = point.value
            value.to_message(added.value.distribution_value)
        else:
            setattr(added.value, f"{metric.value_type.lower()}_value", point.value)
    return made


def project_of(call: Call, name: str) -> str:
    """The id of the project of ``projects/p`` or of something in it. Raises ServiceError: there is none."""
    parts = name.split("/")
    project = call.site.projects.id(parts[1]) if len(parts) > 1 and parts[0] == "projects" else None
    if project is None:
        text = f"The offline cloud has no {name}; it has projects, with the numbers of those that were used before."
        raise ServiceError("NOT_FOUND", text)
    return project


def _invalid(field: str, value: str, text: str) -> ServiceError:
    return ServiceError("INVALID_ARGUMENT", f'Field {field} had an invalid value of "{value}": {text}')
