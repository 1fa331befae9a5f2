"""Cloud Logging: the replicas of one job as one log, whole, at its end, or while it grows.

https://cloud.google.com/logging/docs/reference/v2/rest/v2/entries/list, which takes 60 calls a minute of a project.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from cloudops.refs import LogLine

from .container.boot import END
from .statuses import seconds

if TYPE_CHECKING:
    from .client import Client

_URL = "https://logging.googleapis.com/v2/entries:list"
#: Entries in one answer, at most.
_PAGE = 1000
#: Seconds between two looks: at first, and at most while nothing comes.
_SOON, _LATER = 1.0, 5.0
#: Seconds by which an entry may come later than one with a later time.
_OVERLAP = 30.0
#: Seconds in which the last lines arrive after the end, where no last line says that it is the last.
_SETTLE = 8.0
_REPLICA = re.compile(r"workerpool(\d+)-(\d+)")

Entry = Mapping[str, Any]


def clauses_of_job(job: str) -> list[str]:
    """Which entries are those of a job with this id."""
    return ['resource.type="ml_job"', f'resource.labels.job_id="{job}"']


def clauses_of_endpoint(endpoint: str) -> list[str]:
    """Which entries are those of an endpoint with this id."""
    return ['resource.type="aiplatform.googleapis.com/Endpoint"', f'resource.labels.endpoint_id="{endpoint}"']


class Logs:
    """Reads the logs of jobs, or of what else there is.

    Args:
        client: to ask with.
        clauses: those of the filter for what has an id.
    """

    def __init__(self, client: Client, clauses: Callable[[str], list[str]] = clauses_of_job) -> None:
        self._client = client
        self._clauses = clauses

    def read(self, job: str) -> Iterator[LogLine]:
        """All lines of the job with the id ``job``, in order of time."""
        return shown(self._entries(job))

    def tail(self, job: str, count: int) -> list[LogLine]:
        """The last ``count`` lines; no more of the log is read than they need."""
        lines: list[LogLine] = []
        if count:
            for line in shown(self._entries(job, order="desc", size=min(_PAGE, count + 10))):
                lines.append(line)
                if len(lines) == count:
                    break
        return lines[::-1]

    def follow(
        self, job: str, over: Callable[[], bool | None], nodes: int, tail: int | None = None
    ) -> Iterator[LogLine]:
        """All lines (or the last ``tail``), then those that come, until ``over`` and all of it was given.

        Args:
            job: its id.
            over: whether the job has ended; None: it was deleted, and what it still says is nobody's.
            nodes: how many replicas end their logs.
            tail: how many of the lines that are there.
        """
        reader, wait, ended = _Reader(self, job), _SOON, None
        first = list(shown(reader.take()))
        yield from first if tail is None else first[-tail:] if tail else []
        while True:
            was_over = True if ended is not None else over()
            if was_over is None:
                return
            lines = list(shown(reader.take()))
            yield from lines
            if was_over:
                ended = ended or time.monotonic()
                if reader.closed >= nodes or time.monotonic() - ended > _SETTLE:
                    return
            wait = _SOON if lines or was_over else min(_LATER, wait * 1.5)
            self._client.sleep(wait)

    def find(self, job: str, text: str, also: str = "") -> Iterator[LogLine]:
        """The lines that contain ``text``, in order of time; the service looks for them, and at what ``also`` says."""
        wanted = f'(jsonPayload.message:"{text}" OR textPayload:"{text}"){also and " AND "}{also}'
        return (line for line in shown(self._entries(job, wanted)) if text in line.text)

    def since(self, job: str, when: str) -> Iterator[Entry]:
        """The entries from a time (RFC 3339) on."""
        return self._entries(job, f'timestamp>="{when}"' if when else "")

    def _entries(self, job: str, also: str = "", *, order: str = "asc", size: int = _PAGE) -> Iterator[Entry]:
        wanted = [*self._clauses(job), *([also] if also else [])]
        body: dict[str, Any] = {
            "resourceNames": [f"projects/{self._client.project}"],
            "filter": " AND ".join(wanted),
            "orderBy": f"timestamp {order}",
            "pageSize": size,
        }
        while True:
            page = self._client.request("logging.entries.list", "POST", _URL, json=body).json()
            yield from (entry for entry in page.get("entries", ()) if source(entry))
            if not page.get("nextPageToken"):
                return
            body["pageToken"] = page["nextPageToken"]


class _Reader:
    """Remembers what of a log was read: entries come in another order than they were written in."""

    def __init__(self, logs: Logs, job: str) -> None:
        self._logs = logs
        self._job = job
        self._newest = 0.0
        self._seen: dict[tuple[str, str], float] = {}
        self._closed: set[str] = set()

    @property
    def closed(self) -> int:
        """How many replicas have written their last line."""
        return len(self._closed)

    def take(self) -> list[Entry]:
        """What came since the last time."""
        start = _rfc3339(self._newest - _OVERLAP) if self._newest else ""
        found = []
        for entry in self._logs.since(self._job, start):
            key, when = (str(entry.get("insertId", "")), str(entry.get("timestamp", ""))), _time(entry)
            if key in self._seen:
                continue
            self._seen[key] = when
            self._newest = max(self._newest, when)
            found.append(entry)
            if text(entry).endswith(END):
                self._closed.add(source(entry))
        self._seen = {key: when for key, when in self._seen.items() if when >= self._newest - 2 * _OVERLAP}
        return found


def source(entry: Entry) -> str:
    """``rank-0`` for ``workerpool0-0``, ``rank-1`` for ``workerpool1-0``, a replica's id for what an endpoint's says.

    Empty for what the service itself writes.
    """
    if "endpoint_id" in entry.get("resource", {}).get("labels", {}):
        labels = entry.get("labels", {})
        return str(labels.get("replica_id") or labels.get("deployed_model_id") or "replica")
    found = _REPLICA.fullmatch(str(entry.get("resource", {}).get("labels", {}).get("task_name", "")))
    if found is None:
        return ""
    pool, index = int(found[1]), int(found[2])
    return f"rank-{index + 1 if pool else index}"


def text(entry: Entry) -> str:
    """What was printed."""
    payload = entry.get("jsonPayload")
    message = payload.get("message", "") if isinstance(payload, Mapping) else entry.get("textPayload", "")
    return str(message).rstrip("\n")


def shown(entries: Iterator[Entry] | list[Entry]) -> Iterator[LogLine]:
    """Entries as lines."""
    for entry in entries:
        line = text(entry)
        rest = line.removesuffix(END)  # a job's last line may lack its end
        if rest or not line:
            yield LogLine(_time(entry), rest, source(entry))


def _time(entry: Entry) -> float:
    return seconds(entry.get("timestamp") or entry.get("receiveTimestamp")) or 0.0


def _rfc3339(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat().replace("+00:00", "Z")
