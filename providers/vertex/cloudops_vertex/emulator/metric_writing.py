"""Cloud Monitoring: clients write time series of metrics of their own."""

from __future__ import annotations

import time
from typing import Any

from .distributions import from_message
from .methods import Call, implements
from .metric_descriptors import check_custom, check_kind
from .metric_types import CUMULATIVE, DISTRIBUTION, STRING, MetricType
from .monitoring_service import project_of
from .protocol.errors import ServiceError
from .series import Key, Point, Value

#: Series of a request, at most (google/monitoring/v3/metric_service.proto).
_MOST = 200
#: Seconds by which a point may be ahead, or behind (Cloud Monitoring's limits of custom metrics).
_AHEAD, _BEHIND = 5 * 60, 25 * 3600


@implements("MetricService.CreateTimeSeries")
def create_time_series(call: Call, request: Any) -> Any:
    """Add a point to each of some series: those that can be written are, though others cannot.

    Raises:
        ServiceError: INVALID_ARGUMENT: some could not be written; the text says which, and why.
    """
    project = project_of(call, request.name)
    if len(request.time_series) > _MOST:
        text = f"Field timeSeries had an invalid value: a request holds {_MOST} time series at most."
        raise ServiceError("INVALID_ARGUMENT", text)
    problems = []
    for number, given in enumerate(request.time_series):
        try:
            _write(call, project, given)
        except ServiceError as error:
            problems.append(f"{error.message}: timeSeries[{number}]")
    if problems:
        text = "One or more TimeSeries could not be written: " + "; ".join(problems)
        raise ServiceError("INVALID_ARGUMENT", text)
    return call.answer()


def _write(call: Call, project: str, given: Any) -> None:
    check_custom("timeSeries.metric.type", given.metric.type)
    if len(given.points) != 1:
        raise _wrong("Field points had an invalid value: exactly one point must be given for each time series")
    resource = given.resource.type or "global"
    labels = {"project_id": project, **given.resource.labels} if resource == "global" else dict(given.resource.labels)
    name, metric_labels = given.metric.type, dict(given.metric.labels)
    value_type, value = _value(given.points[0].value)
    metric, known = _metric(call, project, given, value_type)
    key = Key(project, name, tuple(sorted(metric_labels.items())), resource, tuple(sorted(labels.items())))
    point = _point(given.points[0].interval, metric, value)
    _check_order(call.site.series.last(key), point, metric)
    if not known:
        call.site.series.define(project, metric)
    call.site.series.add(project, name, metric_labels, resource, labels, [point])


def _metric(call: Call, project: str, given: Any, value_type: str) -> tuple[MetricType, bool]:
    """The metric that is written, and whether it was there before."""
    name = given.metric.type
    number = given.metric_kind
    kind = given.DESCRIPTOR.fields_by_name["metric_kind"].enum_type.values_by_number[number].name if number else ""
    try:
        known = call.site.series.type(project, name)
    except KeyError:
        made = MetricType(
            name,
            kind or "GAUGE",
            value_type,
            given.unit,
            name.rpartition("/")[2],
            tuple((label, STRING) for label in given.metric.labels),
            text="Auto created custom metric.",
        )
        check_kind(name, made.kind, made.value_type)
        return made, False
    if kind and kind != known.kind:
        raise _wrong(f"Metric kind for metric {name} must be {known.kind}, but is {kind}")
    if value_type != known.value_type:
        raise _wrong(f"Value type for metric {name} must be {known.value_type}, but is {value_type}")
    return known, True


def _value(given: Any) -> tuple[str, Value]:
    """Type and value of a point."""
    which = given.WhichOneof("value")
    if which is None:
        raise _wrong("Field points[0].value had an invalid value: it must be set")
    value_type = which.removesuffix("_value").upper()
    if value_type != DISTRIBUTION:
        value: Value = getattr(given, which)
        return value_type, value
    try:
        return value_type, from_message(given.distribution_value)
    except ValueError as error:
        raise _wrong(f"Field points[0].distributionValue had an invalid value: {error}") from None


def _point(interval: Any, metric: MetricType, value: Value) -> Point:
    if not interval.HasField("end_time"):
        raise _wrong("Field points[0].interval.endTime had an invalid value: it must be set")
    end, now = int(interval.end_time.ToNanoseconds()), time.time()
    start = int(interval.start_time.ToNanoseconds()) if interval.HasField("start_time") else end
    if not now - _BEHIND <= end / 1e9 <= now + _AHEAD:
        text = "Data points cannot be written more than 5 minutes in the future, or more than 25 hours in the past"
        raise _wrong(f"Field points[0].interval.endTime had an invalid value: {text}")
    if (start >= end) if metric.kind == CUMULATIVE else (start != end):
        rule = "before" if metric.kind == CUMULATIVE else "equal to"
        text = f"the start time must be {rule} the end time for a metric of kind {metric.kind}"
        raise _wrong(f"Field points[0].interval.startTime had an invalid value: {text}")
    return Point(start, end, value)


def _check_order(last: Point | None, point: Point, metric: MetricType) -> None:
    if last is None:
        return
    if point.end <= last.end or (metric.kind == CUMULATIVE and point.start != last.start and point.start < last.end):
        text = "Points must be written in order. One or more of the points specified had an older "
        raise _wrong(f"{text}{'start' if point.start < last.start else 'end'} time than the most recent point.")


def _wrong(text: str) -> ServiceError:
    return ServiceError("INVALID_ARGUMENT", text)
