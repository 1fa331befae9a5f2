"""The log of an endpoint: what its replicas print, with which of them it was.

https://cloud.google.com/vertex-ai/docs/predictions/online-prediction-logging#container-logging
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cloudops.refs import LogLine

from .container.inference import ENDED, FAILED
from .logs import Logs, clauses_of_endpoint

if TYPE_CHECKING:
    from .client import Client

#: Seconds between two looks at a log that grows.
_LOOK = 1.0


class EndpointLogs:
    """Reads the logs of endpoints."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._logs = Logs(client, clauses_of_endpoint)

    def read(self, endpoint: str) -> Iterator[LogLine]:
        """All lines, in order of time."""
        return self._logs.read(endpoint)

    def tail(self, endpoint: str, count: int) -> list[LogLine]:
        """The last ``count`` lines."""
        return self._logs.tail(endpoint, count)

    def follow(self, endpoint: str, gone: Callable[[], bool], tail: int | None) -> Iterator[LogLine]:
        """All lines (or the last ``tail``), then those that come until the endpoint is gone."""
        return self._logs.follow(endpoint, lambda: None if gone() else False, 1, tail)

    def unloaded(self, endpoint: str, deployed: str) -> str:
        """Why a deployed model cannot be served, in the words of its container; empty where it says nothing."""
        return self._last(endpoint, deployed, FAILED, 0.0)

    def died(self, endpoint: str, deployed: str, since: float) -> str:
        """How a server of a deployed model ended after ``since``; empty where none did."""
        return self._last(endpoint, deployed, ENDED, since)

    def _last(self, endpoint: str, deployed: str, mark: str, since: float) -> str:
        when = datetime.fromtimestamp(since, UTC).isoformat().replace("+00:00", "Z")
        also = f'labels.deployed_model_id="{deployed}" AND timestamp>="{when}"'
        found = [line.text.partition(mark)[2].strip() for line in self._logs.find(endpoint, mark, also)]
        return found[-1] if found else ""
