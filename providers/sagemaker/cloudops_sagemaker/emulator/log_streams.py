"""A stream of a log in moto's CloudWatch Logs that finds a page without looking at all of its events.

It is imported when a stream is made, as moto is.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from moto.logs.exceptions import InvalidParameterException
from moto.logs.models import LogEvent, LogStream
from moto.logs.utils import EventMessageFilter

#: Bytes and events of a page of GetLogEvents, as the service has it.
_PAGE_BYTES, _PAGE_EVENTS = 1 << 20, 10_000
_EVENT_OVERHEAD = 26


class Stream(LogStream):
    """A stream whose events come in the order of their times."""

    def __init__(self, log_group: Any, name: str) -> None:
        super().__init__(log_group, name)
        self._times: list[int] = []
        self._texts: list[str] = []
        self.events: Any = _Events(self._times, self._texts)

    def deliver(self, lines: Sequence[tuple[float, str]]) -> None:
        """Add lines: time (epoch seconds) and text."""
        self.put_log_events([{"timestamp": int(time * 1000), "message": text} for time, text in lines])

    def put_log_events(self, log_events: list[dict[str, Any]]) -> str:
        """As moto's; a time before the last one is taken for that."""
        last = self._times[-1] if self._times else 0
        for event in log_events:
            last = max(last, event["timestamp"])
            self._texts.append(event["message"])
            self._times.append(last)
            self.stored_bytes += len(event["message"].encode("utf-8", "replace")) + _EVENT_OVERHEAD
        self.last_ingestion_time = datetime.now(UTC).replace(tzinfo=None)
        self.upload_sequence_token += 1
        return f"{self.upload_sequence_token:056d}"

    def _update(self) -> None:
        self.first_event_timestamp: Any
        self.last_event_timestamp: Any
        self.first_event_timestamp = self._times[0] if self._times else None
        self.last_event_timestamp = self._times[-1] if self._times else None

    def get_log_events(
        self, start_time: Any, end_time: Any, limit: Any, next_token: str | None, start_from_head: Any
    ) -> tuple[list[dict[str, Any]], str | None, str | None]:
        """As moto's: a page of events, and the tokens of what comes before and after it."""
        low = bisect.bisect_left(self._times, int(start_time)) if start_time else 0
        high = bisect.bisect_left(self._times, int(end_time)) if end_time else len(self._times)
        count = int(limit or _PAGE_EVENTS)
        direction, place = _token(next_token)
        if direction == "f" or (direction is None and start_from_head):
            begin = max(low, place) if direction else low
            end = self._page(range(begin, min(high, begin + count)))
            end = max(begin, end)
        else:
            end = min(high, place) if direction else high
            begin = self._page(range(end - 1, max(low, end - count) - 1, -1))
            begin = min(begin, end)
        page = [self._event(index) for index in range(begin, end)]
        return page, f"b/{begin:056d}", f"f/{end:056d}"

    def filter_log_events(self, start_time: int, end_time: int, filter_pattern: str) -> list[dict[str, Any]]:
        """As moto's: the events between two times that match a pattern."""
        low = bisect.bisect_left(self._times, int(start_time)) if start_time else 0
        high = bisect.bisect_right(self._times, int(end_time)) if end_time else len(self._times)
        wanted = EventMessageFilter(filter_pattern)
        found = []
        for index in range(low, high):
            if wanted.matches(self._texts[index]):
                event = self._event(index)
                found.append({**event, "logStreamName": self.log_stream_name, "eventId": f"{id(self)}{index:020d}"})
        return found

    def _page(self, places: range) -> int:
        """The place behind the last of ``places`` that still fits into a page, in their direction."""
        size, after = 0, places.start if places.step > 0 else places.start + 1
        for index in places:
            size += len(self._texts[index].encode("utf-8", "replace")) + _EVENT_OVERHEAD
            if size > _PAGE_BYTES and index != places.start:
                break
            after = index + 1 if places.step > 0 else index
        return after

    def _event(self, index: int) -> dict[str, Any]:
        time = self._times[index]
        return {"ingestionTime": time, "message": self._texts[index], "timestamp": time}


class _Events(Sequence[Any]):
    """The events of a stream, as moto's own code looks at them."""

    def __init__(self, times: list[int], texts: list[str]) -> None:
        self._times, self._texts = times, texts

    def __len__(self) -> int:
        return len(self._times)

    def __getitem__(self, index: Any) -> Any:
        time, text = self._times[index], self._texts[index]
        return LogEvent(time, {"timestamp": time, "message": text})


def _token(token: str | None) -> tuple[str | None, int]:
    """Direction and place that a token of a page says; no direction without one."""
    if token is None:
        return None, 0
    if token[:2] not in ("f/", "b/") or not token[2:].isdigit():
        raise InvalidParameterException("The specified nextToken is invalid.")
    return token[0], int(token[2:])
