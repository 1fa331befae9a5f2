"""Cloud Logging: entries are listed and written, logs are listed and deleted.

TailLogEntries, a stream in both directions, is not emulated; neither are buckets, views, sinks and exclusions.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from typing import Any

from . import paging
from .entries import Entry, Origin, parse_log_name
from .log_filter import LogFilter
from .methods import Call, implements
from .protocol.errors import CODES, ServiceError
from .protocol.pool import message
from .protocol.requests import write as to_json

#: Entries of a page: without a size, and at most (google/logging/v2/logging.proto).
_PAGE, _LARGEST = 50, 1000
#: Bytes of an entry, at most (Cloud Logging's limits).
_ENTRY = 256 << 10
_ERRORS = "type.googleapis.com/google.logging.v2.WriteLogEntriesPartialErrors"
#: Ids of logs (google/logging/v2/logging.proto).
_LOG_ID = re.compile(r"[A-Za-z0-9/_.\-]{1,512}")
#: A project, with or without one of its views that hold all of its entries.
_RESOURCE = re.compile(r"projects/([^/]+)(?:/locations/global/buckets/_Default/views/(?:_Default|_AllLogs))?")
_OWN = ("logName", "resource", "timestamp", "receiveTimestamp", "severity", "insertId", "labels", "textPayload")


@implements("LoggingServiceV2.ListLogEntries")
def list_log_entries(call: Call, request: Any) -> Any:
    """A page of the entries that a filter wants."""
    projects = _projects(call, request.resource_names)
    wanted = LogFilter(request.filter)
    newest_first = _newest_first(request.order_by)
    if request.page_size < 0:
        raise ServiceError("INVALID_ARGUMENT", "page_size must be positive.")
    size = min(request.page_size or _PAGE, _LARGEST)
    question = (projects, request.filter, newest_first)
    after = paging.place(question, request.page_token)
    found, more = call.site.entries.page(
        projects,
        wanted=wanted.matches,
        among=wanted.may_match,
        low=wanted.low,
        high=wanted.high,
        newest_first=newest_first,
        after=None if after is None else (int(after[0]), str(after[1])),
        size=size,
    )
    token = paging.token(question, found[-1].position) if more else ""
    return call.answer(entries=[to_message(one) for one in found], next_page_token=token)


@implements("LoggingServiceV2.WriteLogEntries")
def write_log_entries(call: Call, request: Any) -> Any:
    """Add entries: all or none of them, or those that can be added where the client wants that.

    Raises:
        ServiceError: INVALID_ARGUMENT: one of them cannot be added; the details say of each why.
    """
    made, errors = [], {}
    for number, entry in enumerate(request.entries):
        try:
            made.append(_entry(call, request, entry, number))
        except ServiceError as error:
            errors[str(number)] = {"code": CODES[error.code][1], "message": error.message}
    if not request.dry_run and (request.partial_success or not errors):
        call.site.entries.write(made)
    if errors:
        first = next(iter(errors.values()))
        raise ServiceError("INVALID_ARGUMENT", str(first["message"]), [{"@type": _ERRORS, "logEntryErrors": errors}])
    return call.answer()


@implements("LoggingServiceV2.ListLogs")
def list_logs(call: Call, request: Any) -> Any:
    """A page of the names of the logs that have entries."""
    projects = _projects(call, [*([request.parent] if request.parent else []), *request.resource_names])
    names = call.site.entries.logs(projects)
    begin = paging.place(projects, request.page_token) or 0
    end = begin + min(request.page_size or _PAGE, _LARGEST)
    token = paging.token(projects, end) if end < len(names) else ""
    return call.answer(log_names=names[begin:end], next_page_token=token)


@implements("LoggingServiceV2.DeleteLog")
def delete_log(call: Call, request: Any) -> Any:
    """Drop the entries of a log."""
    project, log = _log(call, request.log_name)
    if not call.site.entries.drop(project, log):
        raise ServiceError("NOT_FOUND", f"Log {log} does not exist")
    return call.answer()


def to_message(entry: Entry) -> Any:
    """An entry as the API has it."""
    made: Any = message("google.logging.v2.LogEntry")()
    if entry.more:
        from .protocol.parsing import parse

        parse(dict(entry.more), made)
    made.log_name, made.insert_id, made.severity = entry.origin.log_name, entry.insert_id, entry.severity
    made.resource.type = entry.origin.resource_type
    made.resource.labels.update(dict(entry.origin.resource_labels))
    made.labels.update(entry.labels)
    made.timestamp.FromNanoseconds(entry.time)
    made.receive_timestamp.FromNanoseconds(entry.received)
    if entry.data is not None:
        made.json_payload.update(entry.data)
    else:
        made.text_payload = entry.text or ""
    return made


def _entry(call: Call, request: Any, entry: Any, number: int) -> Entry:
    """The entry that a client wants to be written.

    Raises:
        ServiceError: INVALID_ARGUMENT: it has no log or no resource, is too long, or its payload is not emulated.
    """
    name = entry.log_name or request.log_name
    if not name:
        raise ServiceError("INVALID_ARGUMENT", f"log_name is not set in the request, nor in entries[{number}]")
    project, log = _log(call, name)
    resource = entry.resource if entry.resource.type else request.resource
    if not resource.type:
        raise ServiceError("INVALID_ARGUMENT", f"resource is not set in the request, nor in entries[{number}]")
    if entry.ByteSize() > _ENTRY:
        text = f"Log entry with size {entry.ByteSize() / 1024:.1f}K exceeds maximum size of {_ENTRY / 1024:.1f}K"
        raise ServiceError("INVALID_ARGUMENT", text)
    if entry.WhichOneof("payload") == "proto_payload":
        text = f"entries[{number}].proto_payload: payloads of protocol buffers are not emulated by the offline cloud"
        raise ServiceError("INVALID_ARGUMENT", text)
    origin = Origin(project, log, resource.type, tuple(sorted({"project_id": project, **resource.labels}.items())))
    now = time.time_ns() // 1000 * 1000
    fields = to_json(entry)
    return Entry(
        origin,
        entry.timestamp.ToNanoseconds() if entry.HasField("timestamp") else now,
        entry.insert_id,
        int(entry.severity),
        None if entry.HasField("json_payload") else entry.text_payload,
        fields.get("jsonPayload"),
        {**request.labels, **entry.labels},
        now,
        {name: value for name, value in fields.items() if name not in (*_OWN, "jsonPayload")},
    )


def _projects(call: Call, names: Iterable[str]) -> tuple[str, ...]:
    """The ids of the projects with these names.

    Raises:
        ServiceError: INVALID_ARGUMENT: there are none; NOT_FOUND: there is no such project, or view.
    """
    found = []
    for name in names:
        matched = _RESOURCE.fullmatch(name)
        project = call.site.projects.id(matched[1]) if matched else None
        if project is None:
            raise ServiceError(
                "NOT_FOUND", f"The offline cloud has no {name}; it has projects with their default views"
            )
        found.append(project)
    if not found:
        raise ServiceError("INVALID_ARGUMENT", "At least one resource name must be specified.")
    return tuple(dict.fromkeys(found))


def _log(call: Call, name: str) -> tuple[str, str]:
    """Project and id of a log."""
    parsed = parse_log_name(name)
    project = call.site.projects.id(parsed[0]) if parsed else None
    if parsed is None or project is None or not _LOG_ID.fullmatch(parsed[1]):
        text = f'Invalid log name "{name}"; it has the form projects/PROJECT_ID/logs/LOG_ID, with LOG_ID URL-encoded'
        raise ServiceError("INVALID_ARGUMENT", text)
    return project, parsed[1]


def _newest_first(order_by: str) -> bool:
    orders = {"": False, "timestamp": False, "timestamp asc": False, "timestamp desc": True}
    order = " ".join(order_by.split())
    if order not in orders:
        text = f'order_by "{order_by}" is not valid; it may be "timestamp asc" or "timestamp desc"'
        raise ServiceError("INVALID_ARGUMENT", text)
    return orders[order]
