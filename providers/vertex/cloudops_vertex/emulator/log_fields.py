"""What the names in a filter of log entries mean: by the descriptor of LogEntry.

A field of the entry's own type that is not set has its default value; a label, or a member of a payload, that is not
there is missing, and every comparison with it is false (description of the Logging query language).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from .entries import SEVERITIES, Entry
from .filters import FilterError

#: What a label or a member that is not there has for a value.
MISSING: Any = object()
_ENTRY = "google.logging.v2.LogEntry"
_STRUCTS = ("google.protobuf.Struct", "google.protobuf.Any")
_FLOATS = (FieldDescriptor.TYPE_DOUBLE, FieldDescriptor.TYPE_FLOAT)
#: These two are what the store finds entries by.
OF_ORIGIN = ("resource", "logName", "log_name")


@dataclass(frozen=True, slots=True)
class Field:
    """A field of entries.

    Args:
        kind: ``string``, ``number``, ``bool``, ``time``, ``duration``, ``severity``, ``any`` (a value of JSON) or
            ``message``.
        value: of an entry; times in nanoseconds, durations as ``1.5s``.
        name: as the API has it.
    """

    kind: str
    value: Callable[[Entry], Any]
    name: str


def field(path: tuple[str, ...]) -> Field:
    """The field with a path.

    Raises:
        FilterError: entries have no such field.
    """
    name = ".".join(path)
    kind, names = _kind(path, name)
    direct = _DIRECT.get(names[0])
    if names[0] == "jsonPayload":
        return Field(kind, lambda entry: _within(entry.data, path[1:]), name)
    if names[0] == "labels":
        return Field(kind, lambda entry: _within(entry.labels, path[1:]), name)
    if names[0] == "resource":
        return Field(kind, _of_resource(names), name)
    if direct is not None:
        return Field(kind, direct, name)
    default = {"string": "", "number": 0, "bool": False}.get(kind, MISSING)

    def other(entry: Entry) -> Any:
        found = _within(entry.more, names)
        found = default if found is MISSING else found
        return float(found) if kind == "number" and isinstance(found, str) else found

    return Field(kind, other, name)


def _of_resource(names: tuple[str, ...]) -> Callable[[Entry], Any]:
    if names == ("resource", "type"):
        return lambda entry: entry.origin.resource_type

    def value(entry: Entry) -> Any:
        origin = entry.origin
        whole = {"type": origin.resource_type, "labels": dict(origin.resource_labels)}
        return _within(whole, names[1:])

    return value


_DIRECT: Mapping[str, Callable[[Entry], Any]] = {
    "timestamp": lambda entry: entry.time,
    "receiveTimestamp": lambda entry: entry.received,
    "severity": lambda entry: entry.severity,
    "insertId": lambda entry: entry.insert_id,
    "logName": lambda entry: entry.origin.log_name,
    "textPayload": lambda entry: "" if entry.text is None else entry.text,
}


def _kind(path: tuple[str, ...], name: str) -> tuple[str, tuple[str, ...]]:
    """The kind of the field with a path, and the path in the names of JSON."""
    from .protocol.pool import message

    kind: Any = message(_ENTRY).DESCRIPTOR
    names: list[str] = []
    for number, part in enumerate(path):
        found = next((one for one in kind.fields if part in (one.name, one.json_name)), None)
        if found is None:
            raise FilterError(f"Field not found: '{name}'")
        names.append(found.json_name)
        rest = path[number + 1 :]
        inner: Descriptor | None = found.message_type
        if inner is None:
            if rest:
                raise FilterError(f"Field not found: '{name}'")
            return _scalar(found), tuple(names)
        if inner.full_name in _STRUCTS:
            return "any", (*names, *rest)
        if inner.GetOptions().map_entry:
            if len(rest) > 1:
                raise FilterError(f"Field not found: '{name}' (a label whose name has dots needs quotation marks)")
            return "any", (*names, *rest)
        if inner.full_name.startswith("google.protobuf."):
            return {"google.protobuf.Timestamp": "time", "google.protobuf.Duration": "duration"}.get(
                inner.full_name, "any"
            ), tuple(names)
        kind = inner
    return "message", tuple(names)


def _scalar(found: FieldDescriptor) -> str:
    if found.enum_type is not None:
        return "severity"
    if found.type == FieldDescriptor.TYPE_BOOL:
        return "bool"
    return "string" if found.type == FieldDescriptor.TYPE_STRING else "number"


def _within(value: Any, path: tuple[str, ...]) -> Any:
    """A member by its path; of arrays, those of all elements."""
    for number, part in enumerate(path):
        if isinstance(value, list):
            return [one for one in (_within(each, path[number:]) for each in value) if one is not MISSING] or MISSING
        if not isinstance(value, Mapping) or part not in value:
            return MISSING
        value = value[part]
    return MISSING if value is None and not path else value


def texts(entry: Entry) -> str:
    """All that a search without a field looks at."""
    origin = entry.origin
    severity = next((name for name, number in SEVERITIES.items() if number == entry.severity), "")
    parts: list[Any] = [entry.text or "", origin.log_name, entry.insert_id, severity, origin.resource_type]
    parts += [value for _, value in origin.resource_labels]
    return "\n".join([*map(str, parts), flat(entry.data), flat(entry.labels), flat(entry.more)])


def flat(value: Any) -> str:
    """All values within a value of JSON, a line each."""
    if isinstance(value, Mapping):
        return "\n".join(flat(one) for one in value.values())
    if isinstance(value, list):
        return "\n".join(map(flat, value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
