"""CloudWatch over moto's: an indexed store with percentiles and metric math, and alarms that are evaluated.

moto's own classes are extended in place (moto finds its services by module and class name); alarms, dashboards and
the protocols stay moto's.
"""

from __future__ import annotations

import time
import weakref
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from . import alarms
from .cloudwatch_store import Key, Store, Values, key, known_statistic
from .metric_math import MathError, evaluate

if TYPE_CHECKING:
    from cloudops.offline.clock import Clock

    from .region import Region
    from .site import Site

_FINEST = 60
_ours: dict[str, Any] = {}


def install(site: Site) -> None:
    """Have moto's CloudWatch use what is here, with the clock of ``site``."""
    from moto.cloudwatch import models, responses

    _ours["site"] = weakref.ref(site)
    if "original" in _ours:
        return
    backend, response = models.CloudWatchBackend, responses.CloudWatchResponse
    _ours["original"] = backend.put_metric_alarm
    _ours["describe"] = response.describe_alarms
    _ours["describe_for"] = response.describe_alarms_for_metric
    extend(
        backend,
        put_metric_data=_put_metric_data,
        get_all_metrics=_get_all_metrics,
        put_metric_alarm=_put_metric_alarm,
    )
    extend(
        response,
        get_metric_data=_get_metric_data,
        get_metric_statistics=_get_metric_statistics,
        describe_alarms=_describe_alarms,
        describe_alarms_for_metric=_describe_alarms_for_metric,
    )


def extend(owner: Any, **functions: Any) -> None:
    """Put functions into a class or module of moto's."""
    for name, function in functions.items():
        setattr(owner, name, function)


def site() -> Site:
    """The emulated cloud that moto's services belong to now."""
    found: Site | None = _ours["site"]()
    assert found is not None
    return found


def store(region: Region) -> Store:
    """The metrics of a region."""
    from moto.cloudwatch.models import cloudwatch_backends

    return _store(cloudwatch_backends[region.account][region.name])


def _store(backend: Any) -> Store:
    found: Store = backend.__dict__.setdefault("_cloudops_store", Store())
    return found


def _clock() -> Clock:
    return site().surroundings.clock


def _seconds(moment: Any) -> float:
    """Epoch seconds of what moto's parser made of a timestamp."""
    if isinstance(moment, str):
        moment = datetime.fromisoformat(moment.replace("Z", "+00:00"))
    if isinstance(moment, datetime):
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    return float(moment)


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)


def _put_metric_data(self: Any, namespace: str, metric_data: list[dict[str, Any]]) -> None:
    for number, datum in enumerate(metric_data):
        self._validate_parameters_put_metric_data(datum, number + 1)
    for datum in metric_data:
        real = _seconds(datum["Timestamp"]) if datum.get("Timestamp") is not None else time.time()
        series = key(namespace, datum["MetricName"], datum.get("Dimensions") or ())
        times, unit = (real, real + _clock().ahead), datum.get("Unit")
        if datum.get("StatisticValues"):
            sums = {name: float(value) for name, value in datum["StatisticValues"].items()}
            _store(self).add_sums(series, *times, sums, unit)
            continue
        values = [float(value) for value in datum.get("Values") or [datum.get("Value", 0)]]
        counts = [int(float(count)) for count in datum.get("Counts") or [1] * len(values)]
        for value, count in zip(values, counts, strict=True):
            _store(self).add(series, *times, {value: count}, unit)


def _get_all_metrics(self: Any) -> list[Any]:
    """One data point for each series: for what moto does with them, such as ListMetrics."""
    from moto.cloudwatch.models import MetricDatum

    found = [
        MetricDatum(namespace, name, 0.0, [{"Name": a, "Value": b} for a, b in dimensions], None, unit)
        for (namespace, name, dimensions), unit in _store(self).all()
    ]
    return found + list(self.aws_metric_data)


def _put_metric_alarm(self: Any, name: str, *arguments: Any, **options: Any) -> Any:
    from moto.cloudwatch.exceptions import ValidationError

    if options.get("threshold_metric_id"):
        raise ValidationError("anomaly detection alarms are not emulated by the offline cloud; give a Threshold")
    board = alarms.board_of(self)
    board.catch_up(_clock().now())
    before = self.alarms.get(name)
    alarm = _ours["original"](self, name, *arguments, **options)
    problem = alarms.problem(alarm)
    if problem:
        self.alarms.pop(name)
        raise ValidationError(problem)
    alarm.state_value = before.state_value if before else "INSUFFICIENT_DATA"
    return alarm


def _describe_alarms(self: Any) -> Any:
    alarms.board_of(self.cloudwatch_backend).catch_up(_clock().now())
    return _ours["describe"](self)


def _describe_alarms_for_metric(self: Any) -> Any:
    alarms.board_of(self.cloudwatch_backend).catch_up(_clock().now())
    return _ours["describe_for"](self)


def _get_metric_statistics(self: Any) -> Any:
    from moto.cloudwatch.exceptions import InvalidParameterCombination, InvalidParameterValue
    from moto.core.responses import ActionResult

    get = self._get_param
    plain, extended = list(get("Statistics", [])), list(get("ExtendedStatistics", []) or [])
    if not plain and not extended:
        raise InvalidParameterCombination("Must specify either Statistics or ExtendedStatistics")
    start, end, period = _seconds(get("StartTime")), _seconds(get("EndTime")), int(get("Period"))
    if start >= end:
        raise InvalidParameterValue("The parameter StartTime must be less than the parameter EndTime.")
    for name in extended:
        _check_statistic(name)
    series = key(get("Namespace"), get("MetricName"), get("Dimensions", []))
    backend = self.cloudwatch_backend
    told = _is_told(start, period)
    found = _store(backend).periods(series, _aligned(start, period), end, period, unit=get("Unit")) if told else {}
    unit = dict(_store(backend).all()).get(series)
    points = [_point(moment, values, plain, extended, unit) for moment, values in found.items()]
    return ActionResult({"Label": get("MetricName"), "Datapoints": points})


def _point(
    moment: float, values: Values, plain: Sequence[str], extended: Sequence[str], unit: str | None
) -> dict[str, Any]:
    point: dict[str, Any] = {"Timestamp": _moment(moment), "Unit": unit or "None"}
    point |= {name: value for name in plain if (value := values.statistic(name)) is not None}
    percentiles = {name: value for name in extended if (value := values.statistic(name)) is not None}
    return point | ({"ExtendedStatistics": percentiles} if percentiles else {})


def _check_statistic(name: str) -> None:
    from moto.cloudwatch.exceptions import InvalidParameterValue

    if not known_statistic(name):
        raise InvalidParameterValue(f"The value {name} for parameter Stat is not supported.")


def _aligned(start: float, period: float) -> float:
    """As CloudWatch rounds a start down: to the minute, or to the period where that is shorter."""
    step = min(period, _FINEST)
    return start // step * step


def _is_told(start: float, period: float) -> bool:
    """Whether a window has data at all: what is old is kept in coarser periods only.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricStat.html
    """
    age = time.time() - start
    return not any(age > days * 86400 and period % coarse for days, coarse in ((15, 300), (63, 3600)))


def _get_metric_data(self: Any) -> Any:
    from moto.cloudwatch.exceptions import ValidationError
    from moto.core.responses import ActionResult

    params = self._get_params()
    start, end = _seconds(params["StartTime"]), _seconds(params["EndTime"])
    if start >= end:
        raise ValidationError("The parameter EndTime must be greater than StartTime.")
    queries = params.get("MetricDataQueries", [])
    try:
        series, labels = _answers(_store(self.cloudwatch_backend), queries, start, end)
    except MathError as error:
        raise ValidationError(f"Error in expression: {error}") from None
    descending = (params.get("ScanBy") or "TimestampDescending") == "TimestampDescending"
    results = []
    for query in queries:
        if query.get("ReturnData", True):
            points = sorted(series[query["Id"]].items(), reverse=descending)
            results.append(
                {
                    "Id": query["Id"],
                    "Label": query.get("Label") or labels[query["Id"]],
                    "Timestamps": [_moment(moment) for moment, _ in points],
                    "Values": [value for _, value in points],
                    "StatusCode": "Complete",
                }
            )
    return ActionResult({"MetricDataResults": results})


def _answers(
    kept: Store, queries: Sequence[Mapping[str, Any]], start: float, end: float
) -> tuple[dict[str, Mapping[float, float]], dict[str, str]]:
    from moto.cloudwatch.exceptions import ValidationError

    series: dict[str, Mapping[float, float]] = {}
    labels: dict[str, str] = {}
    for query in queries:
        wanted = query.get("MetricStat")
        if wanted is not None:
            _check_statistic(wanted["Stat"])
            metric, period = wanted["Metric"], float(wanted["Period"])
            name = key(metric.get("Namespace", ""), metric["MetricName"], metric.get("Dimensions") or ())
            told = _is_told(start, period)
            found = kept.periods(name, _aligned(start, period), end, period, unit=wanted.get("Unit")) if told else {}
            series[query["Id"]] = statistics(found, wanted["Stat"])
            labels[query["Id"]] = metric["MetricName"]
        elif "Expression" not in query:
            raise ValidationError("The parameter MetricDataQueries.member.1.MetricStat is required.\n")
    for query in queries:
        if "Expression" in query:
            if query["Expression"].startswith(("SELECT", "SEARCH")):
                raise ValidationError("SELECT and SEARCH are not emulated by the offline cloud; name the metrics")
            series[query["Id"]] = evaluate(query["Expression"], series)
            labels[query["Id"]] = query["Id"]
    return series, labels


def statistics(found: Mapping[float, Values], name: str) -> dict[float, float]:
    """One statistic of each period."""
    return {moment: value for moment, values in found.items() if (value := values.statistic(name)) is not None}


__all__ = ["Key", "extend", "install", "site", "statistics", "store"]
