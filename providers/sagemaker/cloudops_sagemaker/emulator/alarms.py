"""CloudWatch's metric alarms, evaluated by the offline clock.

An alarm looks at the periods that end now, rather than at whole minutes: so it reacts within a second of what was
measured, and still needs all of its periods. When the clock was moved on, every moment in between is looked at, too:
an alarm that has gone into ALARM and back meanwhile is known to have done so.
"""

from __future__ import annotations

import json
import operator
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .cloudwatch_store import Key, Store, key, known_statistic
from .metric_math import MathError, evaluate
from .operations import invalid

if TYPE_CHECKING:
    from .region import Region

#: Seconds between evaluations where time was passed over, and how many there are at most.
_STEP, _STEPS = 10.0, 400
_making = threading.Lock()
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}


@dataclass
class Board:
    """The alarms of a region; ``backend`` is moto's, which holds them."""

    backend: Any
    lock: threading.RLock = field(default_factory=threading.RLock)
    #: Called with the time after each evaluation.
    followers: list[Callable[[float], None]] = field(default_factory=list)
    history: dict[str, list[tuple[float, str]]] = field(default_factory=dict)
    last: float | None = None

    def __reduce__(self) -> tuple[type[Any], tuple[()]]:
        """It is not kept between two starts of an emulator: the next one begins with the alarms as they are."""
        return type(None), ()

    def catch_up(self, now: float) -> None:
        """Evaluate at every moment up to ``now`` that was not looked at yet."""
        with self.lock:
            before = now if self.last is None else self.last
            if now < before:
                return
            steps = min(_STEPS, max(1, int((now - before) / _STEP)))
            for number in range(1, steps + 1):
                self.evaluate(before + (now - before) * number / steps)
            self.last = now

    def evaluate(self, now: float) -> None:
        """Set the state of every alarm, as it is at ``now``."""
        for alarm in list(self.backend.alarms.values()):
            points = datapoints(self.backend.__dict__.get("_cloudops_store") or Store(), alarm, now)
            state = _state(alarm, points)
            if state != alarm.state_value:
                alarm.update_state(*_why(alarm, points), state)
            history = self.history.setdefault(alarm.name, [])
            if not history or history[-1][1] != state:
                history.append((now, state))
        for follower in self.followers:
            follower(now)

    def fired(self, names: Iterable[str], since: float, until: float) -> list[str]:
        """Those of the alarms that were in ALARM at some moment of that time."""
        with self.lock:
            return [name for name in names if self._fired(name, since, until)]

    def _fired(self, name: str, since: float, until: float) -> bool:
        history = self.history.get(name, [])
        ends = [time for time, _ in history[1:]] + [float("inf")]
        return any(
            state == "ALARM" and begun <= until and end > since
            for (begun, state), end in zip(history, ends, strict=False)
        )


def board_of(backend: Any) -> Board:
    """The board of moto's CloudWatch of a region."""
    found: Board | None = backend.__dict__.get("_cloudops_board")
    if found is None:
        # Of two threads at once the first one's is used; None is what an earlier start has left.
        with _making:
            found = backend.__dict__.get("_cloudops_board") or Board(backend)
            backend.__dict__["_cloudops_board"] = found
    return found


def board(region: Region) -> Board:
    """The alarms of a region."""
    from moto.cloudwatch.models import cloudwatch_backends

    return board_of(cloudwatch_backends[region.account][region.name])


def fired(region: Region, names: Sequence[str], since: float, until: float) -> list[str]:
    """Those of the alarms that were in ALARM between two times of the offline clock."""
    if not names:
        return []
    board(region).catch_up(region.clock.now())
    return board(region).fired(names, since, until)


def check_alarms(region: Region, names: Sequence[str]) -> None:
    """Have the alarms exist.

    Raises:
        ServiceError: one does not.
    """
    missing = [name for name in names if name not in board(region).backend.alarms]
    if missing:
        raise invalid(f"The alarms {', '.join(missing)} of AutoRollbackConfiguration do not exist in this region.")


def problem(alarm: Any) -> str:
    """Why an alarm cannot be evaluated here, or ""."""
    if alarm.comparison_operator not in _COMPARE:
        return f"ComparisonOperator {alarm.comparison_operator} is not emulated by the offline cloud"
    statistics = [query.metric_stat.stat for query in alarm.metric_data_queries if query.metric_stat]
    statistics += [one for one in (alarm.statistic, alarm.extended_statistic) if one]
    unknown = [name for name in statistics if not known_statistic(name)]
    if unknown:
        return f"The value {unknown[0]} for parameter Stat is not supported."
    try:
        datapoints(Store(), alarm, 0.0)
    except MathError as error:
        return f"Error in expression: {error}"
    return ""


def datapoints(kept: Store, alarm: Any, now: float) -> list[float | None]:
    """The values of the alarm's periods that end at ``now``, oldest first; None where there is none."""
    period, count = _period(alarm), int(alarm.evaluation_periods)
    start = now - period * count
    times = [start + period * number for number in range(count)]
    if not alarm.metric_data_queries:
        name = key(alarm.namespace, alarm.metric_name, _dimensions(alarm.dimensions))
        statistic = alarm.statistic or alarm.extended_statistic
        points: Mapping[float, float] = _points(kept, name, start, now, period, statistic)
    else:
        points = _queried(kept, alarm, start, now, period, times)
    by_place = {round((moment - start) / period): value for moment, value in points.items()}
    return [by_place.get(number) for number in range(count)]


def _queried(
    kept: Store, alarm: Any, start: float, now: float, period: float, times: Sequence[float]
) -> Mapping[float, float]:
    known: dict[str, Mapping[float, float]] = {}
    wanted = ""
    for query in alarm.metric_data_queries:
        if query.metric_stat is not None:
            metric = query.metric_stat.metric
            name = key(metric.namespace, metric.metric_name, _dimensions(metric.dimensions))
            known[query.id] = _points(kept, name, start, now, period, query.metric_stat.stat)
        if query.return_data is not False and str(query.return_data).lower() != "false":
            wanted = query.id
    for query in alarm.metric_data_queries:
        if query.expression:
            known[query.id] = evaluate(query.expression, known, times)
    return known.get(wanted, {})


def _points(kept: Store, name: Key, start: float, now: float, period: float, statistic: str) -> dict[float, float]:
    found = kept.periods(name, start, now, period, offline=True)
    return {moment: value for moment, values in found.items() if (value := values.statistic(statistic)) is not None}


def _period(alarm: Any) -> float:
    given = [query.metric_stat.period for query in alarm.metric_data_queries if query.metric_stat]
    return float(alarm.period or (given[0] if given else 60))


def _dimensions(given: Iterable[Any]) -> dict[str, str]:
    return {one.name: one.value for one in given}


def _state(alarm: Any, points: Sequence[float | None]) -> str:
    breaches = _COMPARE[alarm.comparison_operator]
    missing = sum(point is None for point in points)
    breaching = sum(point is not None and breaches(point, float(alarm.threshold)) for point in points)
    treatment = alarm.treat_missing_data or "missing"
    if treatment == "breaching":
        breaching += missing
    if breaching >= int(alarm.datapoints_to_alarm or alarm.evaluation_periods):
        return "ALARM"
    if missing == len(points) and treatment in ("missing", "ignore"):
        return str(alarm.state_value) if treatment == "ignore" else "INSUFFICIENT_DATA"
    return "OK"


def _why(alarm: Any, points: Sequence[float | None]) -> tuple[str, str]:
    known = [point for point in points if point is not None]
    shown = ", ".join(f"{point:g}" for point in known)
    text = f"Threshold Crossed: {len(known)} out of the last {len(points)} datapoints [{shown}]"
    text = f"{text} against the threshold ({float(alarm.threshold):g}, {alarm.comparison_operator})."
    return text, json.dumps({"version": "1.0", "recentDatapoints": known, "threshold": float(alarm.threshold)})
