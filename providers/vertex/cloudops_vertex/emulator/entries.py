"""Where Cloud Logging's entries are kept: by what wrote them, in the order of their times.

An entry is found without looking at those of other resources, and a page without looking at the pages before it.
"""

from __future__ import annotations

import bisect
import heapq
import itertools
import json
import math
import threading
import time as _time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, field
from typing import Any
from urllib.parse import quote, unquote

#: As google/logging/type/log_severity.proto numbers them.
SEVERITIES: Mapping[str, int] = {
    "DEFAULT": 0,
    "DEBUG": 100,
    "INFO": 200,
    "NOTICE": 300,
    "WARNING": 400,
    "ERROR": 500,
    "CRITICAL": 600,
    "ALERT": 700,
    "EMERGENCY": 800,
}
#: Bytes that entries are reckoned with over their texts, and of all entries.
_OVERHEAD, _LIMIT = 300, 256 << 20
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
#: Time in nanoseconds since the epoch, and insert id: the order of entries.
Position = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Origin:
    """What wrote entries.

    Args:
        project: by its id.
        log: id of the log, not quoted, such as ``aiplatform.googleapis.com/prediction``.
        resource_type: such as ``ml_job``.
        resource_labels: names and values, in the order of the names.
    """

    project: str
    log: str
    resource_type: str
    resource_labels: tuple[tuple[str, str], ...]

    @property
    def log_name(self) -> str:
        """As the API has it: ``projects/p/logs/a%2Fb``."""
        return log_name(self.project, self.log)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a log.

    Args:
        origin: what wrote it.
        time: nanoseconds since the epoch.
        insert_id: its name within project and time.
        severity: a value of :data:`SEVERITIES`.
        text: None where ``data`` is there.
        data: JSON object.
        labels: of the entry.
        received: nanoseconds since the epoch.
        more: other fields of the API's LogEntry, as JSON.
    """

    origin: Origin
    time: int
    insert_id: str
    severity: int
    text: str | None
    data: Mapping[str, Any] | None
    labels: Mapping[str, str]
    received: int
    more: Mapping[str, Any] = field(default_factory=dict)

    @property
    def position(self) -> Position:
        """Its place in the order."""
        return self.time, self.insert_id

    @property
    def size(self) -> int:
        """Bytes, about."""
        payload = len(self.text) if self.text is not None else len(json.dumps(self.data, ensure_ascii=False))
        return payload + _OVERHEAD


class Entries:
    """The entries of all projects.

    Args:
        limit: bytes, about; beyond it the entries that came first are dropped.
        now: seconds since the epoch; when an entry is received.
    """

    def __init__(self, *, limit: int = _LIMIT, now: Callable[[], float] = _time.time) -> None:
        self._limit, self._now = limit, now
        self._lock = threading.Lock()
        self._start()

    def _start(self) -> None:
        self._kept: dict[Origin, list[Entry]] = {}
        self._order: deque[Entry] = deque()
        self._size = 0
        self._serial = itertools.count(1)

    def add(
        self,
        project: str,
        log_name: str,
        resource_type: str,
        resource_labels: Mapping[str, str],
        lines: Iterable[tuple[float, str, str | Mapping[str, Any]]],
        labels: Mapping[str, str] | None = None,
    ) -> None:
        """Add lines of one resource.

        Args:
            project: by its id.
            log_name: id of the log, not quoted.
            resource_type: such as ``ml_job``.
            resource_labels: of the resource.
            lines: time (epoch seconds), a name of :data:`SEVERITIES`, and a text or a JSON object; what a message
                cannot hold (half a character, NaN) is replaced by a text.
            labels: of every entry.
        """
        origin = Origin(project, log_name, resource_type, tuple(sorted(resource_labels.items())))
        received, shared = int(self._now() * 1e9), dict(labels or {})
        with self._lock:
            for at, severity, payload in lines:
                payload = _writable(payload)
                text, data = (payload, None) if isinstance(payload, str) else (None, payload)
                made = Entry(
                    origin, round(at * 1e6) * 1000, self._id(), SEVERITIES[severity], text, data, shared, received
                )
                self._put(made)
            self._shrink()

    def write(self, entries: Iterable[Entry]) -> None:
        """Add entries as clients write them: without an insert id they get one, those that are there are left out."""
        with self._lock:
            for one in entries:
                if not one.insert_id:
                    values = {name: getattr(one, name) for name in Entry.__slots__}
                    one = Entry(**{**values, "insert_id": self._id()})
                self._put(one)
            self._shrink()

    def page(
        self,
        projects: Collection[str],
        *,
        wanted: Callable[[Entry], bool],
        among: Callable[[Origin], bool] = lambda origin: True,
        low: int | None = None,
        high: int | None = None,
        newest_first: bool = False,
        after: Position | None = None,
        size: int = 50,
    ) -> tuple[list[Entry], bool]:
        """Some of the entries of projects, and whether there are more of them.

        Args:
            projects: by their ids.
            wanted: which entries.
            among: which origins are looked at.
            low: the first time, in nanoseconds.
            high: the last one.
            newest_first: the order.
            after: the last entry of the page before.
            size: the most entries.
        """
        found: list[Entry] = []
        for entry in self._ordered(projects, among, low, high, newest_first, after):
            if wanted(entry):
                if len(found) == size:
                    return found, True
                found.append(entry)
        return found, False

    def _ordered(
        self,
        projects: Collection[str],
        among: Callable[[Origin], bool],
        low: int | None,
        high: int | None,
        newest_first: bool,
        after: Position | None,
    ) -> Iterator[Entry]:
        """The entries between two times, from ``after`` on."""
        first: Position = (low if low is not None else -(1 << 63), "")
        last: Position = (high if high is not None else 1 << 63, "\U0010ffff")
        with self._lock:
            parts = []
            for origin, kept in self._kept.items():
                if origin.project not in projects or not among(origin):
                    continue
                begin = bisect.bisect_left(kept, first, key=_position)
                end = bisect.bisect_right(kept, last, key=_position)
                if after is not None and newest_first:
                    end = min(end, bisect.bisect_left(kept, after, key=_position))
                elif after is not None:
                    begin = max(begin, bisect.bisect_right(kept, after, key=_position))
                if begin < end:
                    parts.append(kept[begin:end])
        if newest_first:
            return heapq.merge(*(reversed(part) for part in parts), key=_position, reverse=True)
        return heapq.merge(*parts, key=_position)

    def logs(self, projects: Collection[str]) -> list[str]:
        """The names of the logs of projects that have entries, as the API has them, in the order of the alphabet."""
        with self._lock:
            return sorted({origin.log_name for origin in self._kept if origin.project in projects})

    def drop(
        self,
        project: str,
        log_name: str | None = None,
        resource_type: str | None = None,
        resource_labels: Mapping[str, str] | None = None,
    ) -> int:
        """Drop the entries of origins that have what is given; how many they were."""
        labels = set((resource_labels or {}).items())
        with self._lock:
            gone = {
                origin
                for origin in self._kept
                if origin.project == project
                and log_name in (None, origin.log)
                and resource_type in (None, origin.resource_type)
                and labels <= set(origin.resource_labels)
            }
            count = sum(len(self._kept.pop(origin)) for origin in gone)
            self._size -= sum(one.size for one in self._order if one.origin in gone)
            self._order = deque(one for one in self._order if one.origin not in gone)
        return count

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._start()

    def dump(self) -> list[Any]:
        """What :meth:`load` takes: values that can be pickled, in the order in which the entries came."""
        with self._lock:
            return [(astuple(one.origin), *(getattr(one, name) for name in _OWN)) for one in self._order]

    def load(self, state: list[Any]) -> None:
        """Have what was dumped be there again, before what comes."""
        with self._lock:
            self._start()
            for origin, *values in state:
                self._put(Entry(Origin(*origin), *values))
            self._serial = itertools.count(len(state) + 1)

    def _put(self, entry: Entry) -> None:
        kept = self._kept.setdefault(entry.origin, [])
        if kept and kept[-1].position >= entry.position:
            place = bisect.bisect_left(kept, entry.position, key=_position)
            if kept[place].position == entry.position:  # the service shows such an entry once
                return
            kept.insert(place, entry)
        else:
            kept.append(entry)
        self._order.append(entry)
        self._size += entry.size

    def _id(self) -> str:
        """Ids grow, so that lines of the same time stay in the order in which they came."""
        number, made = next(self._serial), ""
        while number:
            number, digit = divmod(number, 36)
            made = _DIGITS[digit] + made
        return made.rjust(12, "0")

    def _shrink(self) -> None:
        """Drop those that came first, a tenth of the limit at once, where there are too many."""
        if self._size <= self._limit:
            return
        gone: dict[Origin, set[Position]] = {}
        while self._order and self._size > self._limit * 0.9:
            entry = self._order.popleft()
            self._size -= entry.size
            gone.setdefault(entry.origin, set()).add(entry.position)
        for origin, positions in gone.items():
            self._kept[origin] = [one for one in self._kept[origin] if one.position not in positions]
            if not self._kept[origin]:
                del self._kept[origin]


_OWN = tuple(name for name in Entry.__slots__ if name != "origin")


def log_name(project: str, log: str) -> str:
    """The name of a log as the API has it."""
    return f"projects/{project}/logs/{quote(log, safe='')}"


def parse_log_name(name: str) -> tuple[str, str] | None:
    """Project and id of the log of a name, whose id may be quoted or not; None for another text."""
    head, project, kind, log = [*name.split("/", 3), "", "", ""][:4]
    if head != "projects" or kind != "logs" or not project or not log:
        return None
    return project, unquote(log)


def _position(entry: Entry) -> Position:
    return entry.position


def _writable(value: Any) -> Any:
    """A value of JSON without halves of characters, and numbers that are none, which messages cannot hold."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_writable(name): _writable(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_writable(one) for one in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
