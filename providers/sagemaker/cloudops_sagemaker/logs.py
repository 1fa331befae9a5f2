"""CloudWatch Logs: the streams of one job or endpoint as one log, whole, at its end, or while it grows."""

from __future__ import annotations

import heapq
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from cloudops.errors import NotFound
from cloudops.refs import LogLine

from .container.boot import END
from .errors import is_kind

if TYPE_CHECKING:
    from .client import Client

JOBS = "/aws/sagemaker/TrainingJobs"
BATCHES = "/aws/sagemaker/TransformJobs"
#: Begins a line of a container that cannot load its model, as in container/inference.py.
_UNLOADED = "cloudops could not load the model:"
#: Events in one answer, at most.
_PAGE = 10_000
#: Seconds between two looks: at first, and at most while nothing comes.
_SOON, _LATER = 0.4, 5.0
#: Seconds in which the last lines arrive after the end, where no last line says that it is the last.
_SETTLE = 8.0

_RANK = re.compile(r"/algo-(\d+)-")


def endpoint_group(name: str) -> str:
    """The log group of an endpoint."""
    return f"/aws/sagemaker/Endpoints/{name}"


class Logs:
    """Reads log groups."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def read(self, group: str, prefix: str = "") -> Iterator[LogLine]:
        """All lines in order of time."""
        streams = [self._lines(group, name) for name in self.streams(group, prefix)]
        return heapq.merge(*streams, key=lambda line: line.time)

    def tail(self, group: str, prefix: str, count: int) -> list[LogLine]:
        """The last ``count`` lines; no more of the log is read than they need."""
        lines: list[LogLine] = []
        for name in self.streams(group, prefix):
            lines.extend(_shown(self.end(group, name, count)[0], name))
        return sorted(lines, key=lambda line: line.time)[-count:] if count else []

    def follow(self, group: str, prefix: str, over: Callable[[], bool], tail: int | None = None) -> Iterator[LogLine]:
        """All lines (or the last ``tail``), then those that come, until ``over`` and all of it was given."""
        reader, wait, ended = _Reader(self._client, group), _SOON, None
        if tail is not None:
            yield from reader.begin(self.streams(group, prefix), tail)
        while True:
            was_over = ended is not None or over()
            lines = reader.take(self.streams(group, prefix))
            yield from lines
            if was_over:
                ended = ended or time.monotonic()
                if reader.closed or time.monotonic() - ended > _SETTLE:
                    return
            wait = _SOON if lines or was_over else min(_LATER, wait * 1.5)
            time.sleep(wait)

    def find(self, group: str, prefix: str, text: str) -> Iterator[LogLine]:
        """The lines that contain ``text``, in order of time; the service looks for them."""
        names = self.streams(group, prefix)
        for at in range(0, len(names), 100):
            pages = self._client.service("logs").get_paginator("filter_log_events")
            for page in pages.paginate(
                logGroupName=group, logStreamNames=names[at : at + 100], filterPattern=f'"{text}"'
            ):
                for event in page["events"]:
                    yield LogLine(
                        event["timestamp"] / 1000, event["message"].rstrip("\n"), source(event["logStreamName"])
                    )

    def unloaded(self, group: str, prefix: str) -> str:
        """Why a container could not load its model, as container/inference.py says it; empty where it said nothing."""
        lines = [line.text for line in self.find(group, prefix, _UNLOADED)]
        return lines[-1].partition(_UNLOADED)[2].strip() if lines else ""

    def streams(self, group: str, prefix: str = "") -> list[str]:
        """The names of the streams, none where the group is not there (yet)."""
        pages = self._client.service("logs").get_paginator("describe_log_streams")
        given = {"logStreamNamePrefix": prefix} if prefix else {}
        try:
            return [
                stream["logStreamName"]
                for page in pages.paginate(logGroupName=group, **given)
                for stream in page["logStreams"]
            ]
        except Exception as error:
            if is_kind(error, NotFound):
                return []
            raise

    def delete_streams(self, group: str, prefix: str) -> None:
        """Delete the streams of a job, so that another one of its name has a log of its own."""
        for name in self.streams(group, prefix):
            self._quietly(
                partial(self._client.service("logs").delete_log_stream, logGroupName=group, logStreamName=name)
            )

    def remove_group(self, group: str) -> None:
        """Delete the log of an endpoint."""
        self._quietly(lambda: self._client.service("logs").delete_log_group(logGroupName=group))

    def _quietly(self, call: Callable[[], Any]) -> None:
        try:
            call()
        except Exception as error:
            if not is_kind(error, NotFound):
                raise

    def _lines(self, group: str, stream: str) -> Iterator[LogLine]:
        token = None
        while True:
            events, following = self.page(group, stream, token)
            yield from _shown(events, stream)
            if following == token:
                return
            token = following

    def page(self, group: str, stream: str, token: str | None) -> tuple[list[dict[str, Any]], str]:
        """The events after ``token``, and the token of what follows them."""
        given = {"nextToken": token} if token else {}
        answer = self._client.service("logs").get_log_events(
            logGroupName=group, logStreamName=stream, startFromHead=True, limit=_PAGE, **given
        )
        return answer["events"], answer["nextForwardToken"]

    def end(self, group: str, stream: str, count: int) -> tuple[list[dict[str, Any]], str | None]:
        """The last ``count`` events of a stream or more, and the token of what follows them."""
        found: list[dict[str, Any]] = []
        token, forward = None, None
        while True:
            given: dict[str, Any] = {"nextToken": token} if token else {}
            answer = self._client.service("logs").get_log_events(
                logGroupName=group, logStreamName=stream, startFromHead=False, limit=min(_PAGE, count + 1), **given
            )
            found = [*answer["events"], *found]
            forward = forward or answer["nextForwardToken"]
            if len(found) > count or answer["nextBackwardToken"] == token:
                return found, forward
            token = answer["nextBackwardToken"]


class _Reader:
    """Remembers how far each stream was read."""

    def __init__(self, client: Client, group: str) -> None:
        self._logs = Logs(client)
        self._group = group
        self._tokens: dict[str, str | None] = {}
        self._closed: set[str] = set()

    @property
    def closed(self) -> bool:
        """Whether every stream has its last line."""
        return bool(self._tokens) and self._closed == set(self._tokens)

    def begin(self, streams: list[str], tail: int) -> list[LogLine]:
        """The last ``tail`` lines; :meth:`take` goes on after them."""
        found: list[LogLine] = []
        for name in streams:
            events, self._tokens[name] = self._logs.end(self._group, name, tail)
            if events and events[-1]["message"].rstrip("\n").endswith(END):
                self._closed.add(name)
            found.extend(_shown(events, name))
        return sorted(found, key=lambda line: line.time)[-tail:] if tail else []

    def take(self, streams: list[str]) -> list[LogLine]:
        """What came since the last time."""
        found: list[LogLine] = []
        for name in streams:
            found.extend(self._new(name))
        return sorted(found, key=lambda line: line.time)

    def _new(self, name: str) -> Iterator[LogLine]:
        token = self._tokens.setdefault(name, None)
        while True:
            try:
                events, following = self._logs.page(self._group, name, token)
            except Exception as error:
                if is_kind(error, NotFound):  # deleted meanwhile
                    return
                raise
            if events and events[-1]["message"].rstrip("\n").endswith(END):
                self._closed.add(name)
            elif events:
                self._closed.discard(name)
            yield from _shown(events, name)
            if following == token:  # an empty page alone tells nothing: more may follow it
                self._tokens[name] = following
                return
            token = following


def source(stream: str) -> str:
    """``rank-0`` for ``job/algo-1-1700000000``; the last part of any other name."""
    found = _RANK.search(stream)
    return f"rank-{int(found[1]) - 1}" if found else stream.rpartition("/")[2]


def _shown(events: list[dict[str, Any]], stream: str) -> Iterator[LogLine]:
    name = source(stream)
    for event in events:
        text = event["message"].rstrip("\n")
        rest = text.removesuffix(END)  # a job's last line may lack its end
        if rest or not text:
            yield LogLine(event["timestamp"] / 1000, rest, name)
