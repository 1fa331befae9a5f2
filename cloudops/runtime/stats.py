"""Counts and latencies of a serving process, in Prometheus' text format (version 0.0.4)."""

from __future__ import annotations

import bisect
import threading
from collections.abc import Iterable, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: Upper bounds of the latency histogram's buckets, in seconds.
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Stats:
    """What was asked of this process and how it went; safe to use from several threads."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = dict(labels)
        self._lock = threading.Lock()
        self._requests: dict[tuple[str, int], int] = {}
        self._latencies: dict[str, list[int]] = {}
        self._seconds: dict[str, float] = {}

    def record(self, route: str, status: int, seconds: float) -> None:
        """One request was answered; ``route`` is one of a fixed set, so that the number of series is bounded."""
        with self._lock:
            self._requests[route, status] = self._requests.get((route, status), 0) + 1
            buckets = self._latencies.setdefault(route, [0] * (len(BUCKETS) + 1))
            buckets[bisect.bisect_left(BUCKETS, seconds)] += 1
            self._seconds[route] = self._seconds.get(route, 0.0) + seconds

    def exposition(self, *, ready: bool, in_flight: int, captured: int, dropped: int) -> str:
        """Everything as text, with the gauges and counts that others keep."""
        with self._lock:
            requests = sorted(self._requests.items())
            latencies = {route: (list(buckets), self._seconds[route]) for route, buckets in self._latencies.items()}
        lines = [
            *_family("cloudops_requests_total", "counter", "Requests answered, by route and status."),
            *(self._sample("cloudops_requests_total", n, route=r, status=str(s)) for (r, s), n in requests),
            *_family("cloudops_request_errors_total", "counter", "Requests answered with a status of 500 or more."),
            *self._errors(requests),
            *_family("cloudops_requests_in_flight", "gauge", "Requests being answered."),
            self._sample("cloudops_requests_in_flight", in_flight),
            *_family("cloudops_request_seconds", "histogram", "Time to answer a request, without its transfer."),
            *self._histograms(latencies),
            *_family("cloudops_captured_total", "counter", "Requests captured for monitoring."),
            self._sample("cloudops_captured_total", captured),
            *_family("cloudops_capture_dropped_total", "counter", "Requests that could not be captured."),
            self._sample("cloudops_capture_dropped_total", dropped),
            *_family("cloudops_ready", "gauge", "1 when requests are taken, 0 while loading or shutting down."),
            self._sample("cloudops_ready", int(ready)),
        ]
        return "\n".join(lines) + "\n"

    def _errors(self, requests: Iterable[tuple[tuple[str, int], int]]) -> list[str]:
        totals: dict[str, int] = {}
        for (route, status), count in requests:
            totals[route] = totals.get(route, 0) + (count if status >= 500 else 0)
        return [self._sample("cloudops_request_errors_total", count, route=route) for route, count in totals.items()]

    def _histograms(self, latencies: Mapping[str, tuple[list[int], float]]) -> Iterable[str]:
        name = "cloudops_request_seconds"
        for route, (buckets, seconds) in sorted(latencies.items()):
            count = 0
            for bound, each in zip([*map(str, BUCKETS), "+Inf"], buckets):  # noqa: B905 - Python 3.9
                count += each
                yield self._sample(f"{name}_bucket", count, route=route, le=bound)
            yield self._sample(f"{name}_sum", seconds, route=route)
            yield self._sample(f"{name}_count", count, route=route)

    def _sample(self, name: str, value: float, **labels: str) -> str:
        pairs = ",".join(f'{key}="{_escaped(each)}"' for key, each in {**self._labels, **labels}.items())
        return f"{name}{{{pairs}}} {value!r}"


def _family(name: str, kind: str, description: str) -> tuple[str, str]:
    return f"# HELP {name} {description}", f"# TYPE {name} {kind}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
