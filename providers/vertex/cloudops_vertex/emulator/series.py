"""Where Cloud Monitoring's time series are kept: points in the order of their times, by metric, resource and labels."""

from __future__ import annotations

import bisect
import threading
import time as _time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass
from typing import Any

from .distributions import Distribution
from .metric_types import DELTA, DISTRIBUTION, KNOWN, MetricType

Value = bool | int | float | str | Distribution
Labels = tuple[tuple[str, str], ...]
#: The points of one series (two weeks, one a minute), and of all of them.
_OF_ONE, _OF_ALL = 20_000, 2_000_000
#: Nanoseconds between two samples of what is counted, as Vertex AI samples it.
_SAMPLING = 60 * 10**9


@dataclass(frozen=True, slots=True)
class Point:
    """A value over a time, or at one.

    Args:
        start: nanoseconds since the epoch; ``end`` itself for a gauge.
        end: nanoseconds since the epoch.
        value: of the metric's type.
    """

    start: int
    end: int
    value: Value

    @classmethod
    def at(cls, end: float, value: Value, start: float | None = None) -> Point:
        """A point whose times are seconds since the epoch; ``start`` for what is no gauge."""
        last = round(end * 1e6) * 1000
        return cls(last if start is None else round(start * 1e6) * 1000, last, value)


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """What makes a series one: project (by its id), metric, resource, and the labels of both, in order."""

    project: str
    metric_type: str
    metric_labels: Labels
    resource_type: str
    resource_labels: Labels


class Series:
    """The time series of all projects.

    Args:
        now: seconds since the epoch.
    """

    def __init__(self, *, now: Callable[[], float] = _time.time) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._kept: dict[Key, list[Point]] = {}
        self._made: dict[tuple[str, str], MetricType] = {}
        self._count = 0

    def add(
        self,
        project: str,
        metric_type: str,
        metric_labels: Mapping[str, str],
        resource_type: str,
        resource_labels: Mapping[str, str],
        points: Iterable[Point],
    ) -> None:
        """Add points of one series. Raises KeyError: there is no such metric."""
        self.type(project, metric_type)
        key = _key(project, metric_type, metric_labels, resource_type, resource_labels)
        with self._lock:
            for point in points:
                self._put(key, point)

    def count(
        self,
        project: str,
        metric_type: str,
        metric_labels: Mapping[str, str],
        resource_type: str,
        resource_labels: Mapping[str, str],
        amount: int | float | Iterable[float] = 1,
        at: float | None = None,
    ) -> None:
        """Add to what is counted between samples: to the point of the minute that ``at`` is in.

        Args:
            project: by its id.
            metric_type: of kind DELTA.
            metric_labels: of the metric.
            resource_type: of the resource.
            resource_labels: of the resource.
            amount: how much; of a distribution, the values themselves.
            at: seconds since the epoch; now without it.

        Raises:
            KeyError: there is no such metric.
        """
        found = self.type(project, metric_type)
        assert found.kind == DELTA, f"{metric_type} is not counted"
        value: Value
        if found.value_type == DISTRIBUTION:
            assert found.buckets is not None
            values = [amount] if isinstance(amount, (int, float)) else list(amount)
            value = Distribution.of(values, found.buckets)
        else:
            assert isinstance(amount, (int, float))
            value = amount
        key = _key(project, metric_type, metric_labels, resource_type, resource_labels)
        moment = round((self._now() if at is None else at) * 1e6) * 1000
        with self._lock:
            self._merge(key, moment, value)

    def type(self, project: str, metric_type: str) -> MetricType:
        """What is known of a metric in a project. Raises KeyError: nothing."""
        with self._lock:
            return self._made.get((project, metric_type)) or KNOWN[metric_type]

    def types(self, project: str) -> list[MetricType]:
        """The metrics of a project, in the order of their names."""
        with self._lock:
            made = [one for (owner, _), one in self._made.items() if owner == project]
        return sorted([*KNOWN.values(), *made], key=lambda one: one.type)

    def define(self, project: str, metric: MetricType) -> None:
        """Have a project have a metric of its own."""
        with self._lock:
            self._made[project, metric.type] = metric

    def forget(self, project: str, metric_type: str) -> bool:
        """Drop a metric that a project has of its own, with its series; False where it has none."""
        with self._lock:
            for key in [one for one in self._kept if (one.project, one.metric_type) == (project, metric_type)]:
                self._count -= len(self._kept.pop(key))
            return self._made.pop((project, metric_type), None) is not None

    def select(self, project: str, metric_type: str, wanted: Callable[[Key], bool]) -> list[tuple[Key, list[Point]]]:
        """The series of a metric that are wanted, in the order of their keys, with their points, oldest first."""
        with self._lock:
            return sorted(
                (key, list(points))
                for key, points in self._kept.items()
                if key.project == project and key.metric_type == metric_type and wanted(key)
            )

    def last(self, key: Key) -> Point | None:
        """The newest point of a series."""
        with self._lock:
            points = self._kept.get(key)
            return points[-1] if points else None

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._made.clear()
            self._count = 0

    def dump(self) -> Any:
        """What :meth:`load` takes: values that can be pickled."""
        with self._lock:
            return dict(self._made), [
                (astuple(key), [(one.start, one.end, one.value) for one in points])
                for key, points in self._kept.items()
            ]

    def load(self, state: Any) -> None:
        """Have what was dumped be there again."""
        made, kept = state
        with self._lock:
            self._made = dict(made)
            self._kept = {Key(*key): [Point(*one) for one in points] for key, points in kept}
            self._count = sum(map(len, self._kept.values()))

    def _merge(self, key: Key, moment: int, value: Value) -> None:
        start = moment // _SAMPLING * _SAMPLING
        points = self._kept.get(key, [])
        place = bisect.bisect_left(points, start + 1, key=_end)
        if place < len(points) and points[place].start == start:
            before = points[place]
            total: Any = before.value
            points[place] = Point(start, max(before.end, moment), total + value)
        else:
            self._put(key, Point(start, max(moment, start + 10**6), value))

    def _put(self, key: Key, point: Point) -> None:
        points = self._kept.setdefault(key, [])
        place = bisect.bisect_left(points, point.end, key=_end)
        if place < len(points) and points[place].end == point.end:
            points[place] = point
            return
        points.insert(place, point)
        self._count += 1
        if len(points) > _OF_ONE:
            del points[: _OF_ONE // 10]
            self._count -= _OF_ONE // 10
        if self._count > _OF_ALL:
            self._shrink()

    def _shrink(self) -> None:
        """Drop the series that have been without a new point for longest, until a tenth of the room is free."""
        for key in sorted(self._kept, key=lambda one: self._kept[one][-1].end):
            if self._count <= _OF_ALL * 0.9:
                break
            self._count -= len(self._kept.pop(key))


def _key(
    project: str, metric_type: str, metric: Mapping[str, str], resource_type: str, resource: Mapping[str, str]
) -> Key:
    return Key(project, metric_type, tuple(sorted(metric.items())), resource_type, tuple(sorted(resource.items())))


def _end(point: Point) -> int:
    return point.end
