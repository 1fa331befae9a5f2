"""The observing role: what the door counted."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from cloudops.provider import Captured, Monitor
from cloudops.refs import MetricPoint, Ref

from .deployer import SandboxDeployer


class SandboxMonitor(Monitor):
    """Requests, errors and latency per version, in the units of :class:`cloudops.refs.MetricPoint`."""

    def __init__(self, deployer: SandboxDeployer) -> None:
        self._deployer = deployer

    def metrics(self, ref: Ref, *, since: float, until: float) -> list[MetricPoint]:
        """See :class:`cloudops.provider.Monitor`."""
        path = self._deployer.folder(ref) / "requests.jsonl"
        by_version: dict[str, list[Any]] = defaultdict(list)
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            count = json.loads(line)
            if since <= count["time"] <= until:
                by_version[count["version"]].append(count)
        return [point for version, counts in by_version.items() for point in _points(version, counts, until)]

    def captured(self, ref: Ref, *, since: float, until: float) -> Iterator[Captured]:
        """None: the capability is declared as lacking."""
        self._deployer.folder(ref)
        return iter(())


def _points(version: str, counts: list[Any], time: float) -> Iterator[MetricPoint]:
    seconds = sorted(count["seconds"] for count in counts)
    values = {f"latency_p{percent}": seconds[percent * (len(seconds) - 1) // 100] for percent in (50, 90, 99)}
    values["requests"] = len(counts)
    values["errors"] = sum(count["code"] >= 500 for count in counts)
    values["client_errors"] = sum(400 <= count["code"] < 500 for count in counts)
    for name, value in values.items():
        yield MetricPoint(name, float(value), time, labels={"version": version})
