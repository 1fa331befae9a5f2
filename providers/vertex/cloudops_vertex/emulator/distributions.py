"""Distributions as Cloud Monitoring has them: count, mean, spread, and how many values fell into each bucket."""

from __future__ import annotations

import bisect
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any


@dataclass(frozen=True, slots=True)
class Explicit:
    """Buckets between bounds: below the first one, between each two, and from the last one on."""

    bounds: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Linear:
    """``count`` buckets of the same ``width`` from ``offset`` on, one below and one above them."""

    count: int
    width: float
    offset: float


@dataclass(frozen=True, slots=True)
class Exponential:
    """``count`` buckets, the first from ``scale`` on, each ``growth`` times as wide, one below and one above them."""

    count: int
    growth: float
    scale: float


Buckets = Explicit | Linear | Exponential


@functools.cache
def bounds(buckets: Buckets) -> tuple[float, ...]:
    """The bounds between buckets, in order."""
    if isinstance(buckets, Explicit):
        return buckets.bounds
    if isinstance(buckets, Linear):
        return tuple(buckets.offset + buckets.width * number for number in range(buckets.count + 1))
    return tuple(buckets.scale * buckets.growth**number for number in range(buckets.count + 1))


@dataclass(frozen=True, slots=True)
class Distribution:
    """Values, counted.

    Args:
        buckets: None where they were not counted by size.
        count: of the values.
        mean: of the values; 0 for none.
        spread: the sum of the squares of what each is away from the mean.
        counts: of each bucket; those at the end that are 0 may be left out.
    """

    buckets: Buckets | None
    count: int
    mean: float
    spread: float
    counts: tuple[int, ...]

    @classmethod
    def of(cls, values: Sequence[float], buckets: Buckets) -> Distribution:
        """The distribution of values."""
        edges = bounds(buckets)
        counts = [0] * (len(edges) + 1)
        for value in values:
            counts[bisect.bisect_right(edges, value)] += 1
        mean = math.fsum(values) / len(values) if values else 0.0
        spread = math.fsum((value - mean) ** 2 for value in values)
        return cls(buckets, len(values), mean, spread, _trimmed(counts))

    def __add__(self, other: Distribution) -> Distribution:
        """Both together. Raises ValueError: their buckets differ."""
        if not other.count or not self.count:
            return self if self.count else other
        if self.buckets != other.buckets:
            raise ValueError("the buckets of the distributions differ")
        count = self.count + other.count
        gap = other.mean - self.mean
        mean = self.mean + gap * other.count / count
        spread = self.spread + other.spread + gap * gap * self.count * other.count / count
        return Distribution(self.buckets, count, mean, spread, _summed(self.counts, other.counts))

    def __sub__(self, other: Distribution) -> Distribution:
        """What came after ``other``, of one that accumulates. Raises ValueError: ``other`` is no earlier one."""
        if not other.count:
            return self
        count = self.count - other.count
        counts = _summed(self.counts, tuple(-one for one in other.counts))
        if self.buckets != other.buckets or count < 0 or any(one < 0 for one in counts):
            raise ValueError("the distribution is not one that goes on from the other")
        if not count:
            return Distribution(self.buckets, 0, 0.0, 0.0, ())
        mean = (self.mean * self.count - other.mean * other.count) / count
        gap = mean - other.mean
        spread = self.spread - other.spread - gap * gap * count * other.count / self.count
        return Distribution(self.buckets, count, mean, max(0.0, spread), counts)

    def percentile(self, share: float) -> float | None:
        """The value below which a share (0 to 1) of the values lies, even within its bucket; None without buckets."""
        if self.buckets is None or not self.count:
            return None
        edges = bounds(self.buckets)
        wanted, seen = share * self.count, 0
        for number, count in enumerate(self.counts):
            if count and seen + count >= wanted:
                # Of the first and the last bucket one bound is all that is known; values below the first bound are
                # taken to begin at 0 where that is below it.
                low = edges[number - 1] if number else min(0.0, edges[0])
                high = edges[number] if number < len(edges) else low
                return low + (high - low) * max(0.0, wanted - seen) / count
            seen += count
        return None

    def to_message(self, target: Any) -> None:
        """Write it to a ``google.api.Distribution``."""
        target.count, target.mean, target.sum_of_squared_deviation = self.count, self.mean, self.spread
        target.bucket_counts.extend(self.counts)
        options = target.bucket_options
        if isinstance(self.buckets, Explicit):
            options.explicit_buckets.bounds.extend(self.buckets.bounds)
        elif isinstance(self.buckets, Linear):
            linear = options.linear_buckets
            linear.num_finite_buckets, linear.width = self.buckets.count, self.buckets.width
            linear.offset = self.buckets.offset
        elif self.buckets is not None:
            exponential = options.exponential_buckets
            exponential.num_finite_buckets, exponential.growth_factor = self.buckets.count, self.buckets.growth
            exponential.scale = self.buckets.scale


def from_message(given: Any) -> Distribution:
    """The distribution of a ``google.api.Distribution``.

    Raises:
        ValueError: it contradicts itself; the text says how.
    """
    kind = given.bucket_options.WhichOneof("options")
    buckets: Buckets | None = None
    if kind == "explicit_buckets":
        buckets = Explicit(tuple(given.bucket_options.explicit_buckets.bounds))
    elif kind == "linear_buckets":
        linear = given.bucket_options.linear_buckets
        buckets = Linear(linear.num_finite_buckets, linear.width, linear.offset)
    elif kind == "exponential_buckets":
        exponential = given.bucket_options.exponential_buckets
        buckets = Exponential(exponential.num_finite_buckets, exponential.growth_factor, exponential.scale)
    counts = tuple(given.bucket_counts)
    edges = bounds(buckets) if buckets is not None else ()
    if any(one < 0 for one in counts) or len(counts) > len(edges) + 1 or (counts and sum(counts) != given.count):
        raise ValueError("the bucket counts do not fit the count, or the buckets")
    if any(second <= first for first, second in pairwise(edges)):
        raise ValueError("the bounds of the buckets do not grow")
    return Distribution(buckets, given.count, given.mean, given.sum_of_squared_deviation, _trimmed(counts))


def _summed(first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    length = max(len(first), len(second))
    pad = [[*one, *[0] * (length - len(one))] for one in (first, second)]
    return _trimmed([one + other for one, other in zip(*pad, strict=True)])


def _trimmed(counts: Sequence[int]) -> tuple[int, ...]:
    end = len(counts)
    while end and not counts[end - 1]:
        end -= 1
    return tuple(counts[:end])
