"""Whether the deployed versions answer, and fast enough; common units: counts, shares and seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

from . import formats
from .report import Check, Checks, VersionMetrics


def operational_checks(metrics: Iterable[VersionMetrics], checks: Checks) -> list[Check]:
    """Each version's error share and slowest hundredth against the limits; no traffic passes."""
    found = []
    for one in metrics:
        if checks.errors is not None:
            found.append(_check("errors", one, one.error_share, checks.errors, "errors", formats.share))
        if checks.latency_p99 is not None:
            value, limit = one.latency_p99, checks.latency_p99
            found.append(_check("latency_p99", one, value, limit, "p99 latency", formats.seconds))
    return found


def histogram_percentile(bounds: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """A percentile of a latency histogram.

    Linear within the bucket that holds it, as Prometheus' ``histogram_quantile`` does; in the last, open bucket its
    lower bound, for more is not known.

    Args:
        bounds: upper bounds of the buckets, ascending, in seconds, shape (k,); the last may be infinite.
        counts: requests per bucket (not accumulated), shape (k,).
        share: 0 to 1, such as 0.99.

    Returns:
        Seconds; None without requests.

    Raises:
        ValueError: the shapes differ or ``share`` is not 0 to 1.
    """
    if len(bounds) != len(counts) or not 0 <= share <= 1:
        raise ValueError(
            f"a percentile needs one count per bound and a share of 0 to 1, not {len(bounds)} bounds, "
            f"{len(counts)} counts and {share}"
        )
    total = list(accumulate(counts))
    if not total or not total[-1]:
        return None
    rank = share * total[-1]
    at = next(index for index, upto in enumerate(total) if upto >= rank and counts[index])
    lower = bounds[at - 1] if at else 0.0
    if bounds[at] == float("inf"):
        return lower
    before = total[at] - counts[at]
    return lower + (bounds[at] - lower) * (rank - before) / counts[at]


def _check(
    key: str, one: VersionMetrics, value: float | None, limit: float, what: str, shown: Callable[[float | None], str]
) -> Check:
    if value is None:
        return Check(key, one.version, None, limit, True, f"version {one.version}: {what} not known, no traffic")
    detail = f"version {one.version}: {what} {shown(value)}, at most {shown(limit)} allowed"
    return Check(key, one.version, value, limit, value <= limit, detail)
