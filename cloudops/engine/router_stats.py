"""Requests per second and version: counted by the router, kept in small files, read by anyone.

``stats/<hour>.jsonl`` holds one line for each second with traffic: ``{"t": epoch s, "v": {version: [requests, 5xx, 4xx,
{latency bucket: count}]}}``. Lines of one second add up, so a router that was restarted just goes on. Files of past
hours are rewritten with a line a minute.

Latencies are counted in buckets that grow by 4 % (a log-linear histogram as in DDSketch, arXiv:1908.10693): they
merge by addition, and a percentile read from them is within 2 % of a latency that was measured.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_GROWTH = math.log(1.04)
_SMALLEST = 1e-6
_HOUR = 3600
_MINUTE = 60
#: Files older than this are removed when a new one begins.
_KEPT_HOURS = 90 * 24


@dataclass(frozen=True)
class VersionMetrics:
    """What a version answered in a window of ``seconds``; errors are 5xx, client errors 4xx, latencies seconds.

    A percentile is None where there was no request.
    """

    version: str
    requests: int
    errors: int
    client_errors: int
    latency_p50: float | None
    latency_p90: float | None
    latency_p99: float | None
    seconds: float


@dataclass
class Counts:
    """Requests of one version over some time."""

    requests: int = 0
    errors: int = 0
    client_errors: int = 0
    latencies: dict[int, int] = field(default_factory=dict)

    def add(self, status: int, seconds: float) -> None:
        """Count one answer with its HTTP status and latency."""
        self.requests += 1
        self.errors += status >= 500
        self.client_errors += 400 <= status < 500
        bucket = math.ceil(math.log(max(seconds, _SMALLEST) / _SMALLEST) / _GROWTH)
        self.latencies[bucket] = self.latencies.get(bucket, 0) + 1

    def merge(self, other: Counts) -> None:
        """Add what ``other`` counted."""
        self.requests += other.requests
        self.errors += other.errors
        self.client_errors += other.client_errors
        for bucket, number in other.latencies.items():
            self.latencies[bucket] = self.latencies.get(bucket, 0) + number

    def percentile(self, share: float) -> float | None:
        """The latency in seconds below which ``share`` (0 to 1) of the answers stayed, within 2 %."""
        rank = math.ceil(share * self.requests)
        for bucket in sorted(self.latencies):
            rank -= self.latencies[bucket]
            if rank <= 0:
                return _SMALLEST * math.exp((bucket - 0.5) * _GROWTH)
        return None

    def to_json(self) -> list[Any]:
        """A JSON array."""
        return [self.requests, self.errors, self.client_errors, self.latencies]

    @classmethod
    def from_json(cls, value: list[Any]) -> Counts:
        """What :meth:`to_json` and JSON wrote."""
        requests, errors, client_errors, latencies = value
        return cls(requests, errors, client_errors, {int(bucket): number for bucket, number in latencies.items()})


Bins = dict[int, dict[str, Counts]]


class Recorder:
    """Counts in memory and appends to the files when told to; a full disk delays that and loses nothing.

    While nothing can be written, seconds are merged into minutes, so that memory stays bounded by the outage.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._pending: Bins = {}

    def add(self, now: float, version: str, status: int, seconds: float) -> None:
        """Count an answer that ended at epoch second ``now``."""
        versions = self._pending.setdefault(int(now), {})
        versions.setdefault(version, Counts()).add(status, seconds)

    def flush(self) -> OSError | None:
        """Write what is pending; the error where that is not possible now (it is kept for the next time)."""
        try:
            for second in sorted(self._pending):
                self._append(second, self._pending[second])
                del self._pending[second]
        except OSError as error:
            self._pending = _by_minute(self._pending.items())
            return error
        return None

    def _append(self, second: int, versions: Mapping[str, Counts]) -> None:
        path = self.directory / f"{second // _HOUR}.jsonl"
        if not path.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            _tidy(self.directory, second // _HOUR)
        # The line break comes first: a line that a full disk cut short is never valid, and the next one starts anew.
        data = b"\n" + _line(second, versions)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            if os.write(descriptor, data) < len(data):
                raise OSError(f"{path}: the disk took only a part of a line")
        finally:
            os.close(descriptor)


def read(directory: Path, since: float, until: float) -> Iterator[tuple[int, dict[str, Counts]]]:
    """What was counted from ``since`` until before ``until`` (epoch s): (second or minute, version -> counts).

    The current hour has one entry a second and router, earlier ones have one a minute.
    """
    for path in _files(directory):
        hour = int(path.stem)
        if hour * _HOUR < until and (hour + 1) * _HOUR > since:
            for time, versions in _entries(path):
                if math.floor(since) <= time < until:
                    yield time, versions


def summary(directory: Path, since: float, until: float) -> list[VersionMetrics]:
    """Each version's figures from ``since`` until ``until`` (epoch seconds), in the order of names."""
    totals: dict[str, Counts] = {}
    for _, versions in read(directory, since, until):
        _merge(totals, versions)
    return [_metrics(name, totals[name], until - since) for name in sorted(totals)]


def _metrics(name: str, counts: Counts, seconds: float) -> VersionMetrics:
    p50, p90, p99 = (counts.percentile(share) for share in (0.5, 0.9, 0.99))
    return VersionMetrics(name, counts.requests, counts.errors, counts.client_errors, p50, p90, p99, seconds)


def _merge(into: dict[str, Counts], versions: Mapping[str, Counts]) -> None:
    for name, counts in versions.items():
        into.setdefault(name, Counts()).merge(counts)


def _by_minute(entries: Iterable[tuple[int, Mapping[str, Counts]]]) -> Bins:
    """One entry a minute, at its first second with traffic: not before the endpoint was made."""
    bins: Bins = {}
    firsts: dict[int, int] = {}
    for second, versions in entries:
        first = firsts.setdefault(second // _MINUTE, second)
        _merge(bins.setdefault(first, {}), versions)
    return bins


def _line(time: int, versions: Mapping[str, Counts]) -> bytes:
    value = {"t": time, "v": {name: counts.to_json() for name, counts in versions.items()}}
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def _files(directory: Path) -> list[Path]:
    return sorted((path for path in directory.glob("*.jsonl") if path.stem.isdigit()), key=lambda path: int(path.stem))


def _entries(path: Path) -> Iterator[tuple[int, dict[str, Counts]]]:
    with contextlib.suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            with contextlib.suppress(ValueError, TypeError, KeyError):
                value = json.loads(line)
                yield value["t"], {name: Counts.from_json(counts) for name, counts in value["v"].items()}


def _tidy(directory: Path, hour: int) -> None:
    """Before the first line of ``hour``: rewrite the hours since the last tidying by minute, drop those too old."""
    for path in _files(directory):
        if int(path.stem) < hour - _KEPT_HOURS:
            path.unlink(missing_ok=True)
    past = [path for path in _files(directory) if int(path.stem) < hour]
    if past:
        temporary = past[-1].with_suffix(".tmp")
        bins = _by_minute(_entries(past[-1]))
        temporary.write_bytes(b"\n".join(_line(time, bins[time]) for time in sorted(bins)))
        os.replace(temporary, past[-1])
