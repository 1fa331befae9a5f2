"""Where CloudWatch's metrics are kept: by series and second, every value counted, so that percentiles stay right.

moto keeps a list of single data points that every question runs through, and knows no percentiles. A series here
remembers two times of each value: the machine's, which clients ask for, and the offline clock's, by which alarms and
scaling decide (after the clock was moved on, what was measured before lies that far back for them).
"""

from __future__ import annotations

import math
import re
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Namespace, name, dimensions by name.
Key = tuple[str, str, tuple[tuple[str, str], ...]]
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")
_PLAIN = frozenset({"Sum", "Average", "Minimum", "Maximum", "SampleCount"})


@dataclass
class Values:
    """Values with how often each was seen, and those of which only sums are known."""

    counts: Counter[float] = field(default_factory=Counter)
    sums: list[Mapping[str, float]] = field(default_factory=list)

    def merge(self, other: Values) -> None:
        """Take the values of ``other``, too."""
        self.counts.update(other.counts)
        self.sums.extend(other.sums)

    def statistic(self, name: str) -> float | None:
        """``Sum``, ``Average``, ``Minimum``, ``Maximum``, ``SampleCount`` or a percentile such as ``p99``.

        None where there is nothing to tell it from.
        """
        count = sum(self.counts.values()) + sum(one["SampleCount"] for one in self.sums)
        if name == "SampleCount":
            return float(count)
        if not count:
            return None
        total = sum(value * times for value, times in self.counts.items()) + sum(one["Sum"] for one in self.sums)
        if name == "Sum":
            return float(total)
        if name == "Average":
            return float(total / count)
        if name == "Minimum":
            return float(min([*self.counts, *(one["Minimum"] for one in self.sums)]))
        if name == "Maximum":
            return float(max([*self.counts, *(one["Maximum"] for one in self.sums)]))
        return self._percentile(name)

    def _percentile(self, name: str) -> float | None:
        match = _PERCENTILE.fullmatch(name)
        # As CloudWatch has it: no percentile of sums, unless they are of one value.
        if match is None or any(one["Minimum"] != one["Maximum"] for one in self.sums):
            return None
        counts = Counter(self.counts)
        for one in self.sums:
            counts[one["Minimum"]] += int(one["SampleCount"])
        return _percentile(counts, float(match[1]) / 100)


def _percentile(counts: Counter[float], share: float) -> float:
    """Linear between the two values around the place, as numpy's default."""
    ordered = sorted(counts.items())
    place = share * (sum(counts.values()) - 1)
    low, high = math.floor(place), math.ceil(place)
    found: dict[int, float] = {}
    seen = 0
    for value, times in ordered:
        for wanted in (low, high):
            if wanted not in found and wanted < seen + times:
                found[wanted] = value
        seen += times
    return float(found[low] + (found[high] - found[low]) * (place - low))


def known_statistic(name: str) -> bool:
    """Whether :meth:`Values.statistic` knows it."""
    return name in _PLAIN or _PERCENTILE.fullmatch(name) is not None


@dataclass
class Series:
    """One metric; ``unit`` the one it was last given with."""

    unit: str | None = None
    #: By second of the machine's clock and second of the offline clock.
    seconds: dict[tuple[int, int], Values] = field(default_factory=dict)


class Store:
    """The metrics of one region."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: dict[Key, Series] = {}

    def __reduce__(self) -> tuple[type[Store], tuple[()], dict[Key, Series]]:
        """What is kept between two starts of an emulator."""
        return Store, (), self._series

    def __setstate__(self, state: dict[Key, Series]) -> None:
        self._series = state

    def add(self, key: Key, real: float, offline: float, values: Mapping[float, int], unit: str | None = None) -> None:
        """Note how often each of ``values`` was measured."""
        with self._lock:
            self._at(key, real, offline, unit).counts.update(values)

    def add_sums(
        self, key: Key, real: float, offline: float, sums: Mapping[str, float], unit: str | None = None
    ) -> None:
        """Note ``Sum``, ``SampleCount``, ``Minimum`` and ``Maximum`` of values that are not known one by one."""
        with self._lock:
            self._at(key, real, offline, unit).sums.append(dict(sums))

    def periods(
        self, key: Key, start: float, end: float, period: float, *, offline: bool = False, unit: str | None = None
    ) -> dict[float, Values]:
        """The values from ``start`` until before ``end``, by the beginning of their period.

        Periods are counted from ``start``; those without a value are left out.
        """
        found: dict[float, Values] = {}
        with self._lock:
            series = self._series.get(key)
            if series is None or (unit and series.unit not in (unit, None)):
                return found
            for times, values in series.seconds.items():
                second = times[1 if offline else 0]
                if start <= second < end:
                    found.setdefault(start + (second - start) // period * period, Values()).merge(values)
        return dict(sorted(found.items()))

    def all(self) -> list[tuple[Key, str | None]]:
        """All series with their units."""
        with self._lock:
            return [(key, series.unit) for key, series in self._series.items()]

    def _at(self, key: Key, real: float, offline: float, unit: str | None) -> Values:
        series = self._series.setdefault(key, Series())
        series.unit = unit or series.unit
        return series.seconds.setdefault((int(real), int(offline)), Values())


def key(namespace: str, name: str, dimensions: Iterable[Any] | Mapping[str, str] = ()) -> Key:
    """The key of a series; dimensions as a mapping or as the API has them."""
    if isinstance(dimensions, Mapping):
        return namespace, name, tuple(sorted((str(one), str(value)) for one, value in dimensions.items()))
    given: list[Any] = list(dimensions)
    return namespace, name, tuple(sorted((str(one["Name"]), str(one["Value"])) for one in given))
