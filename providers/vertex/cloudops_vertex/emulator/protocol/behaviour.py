"""What the descriptors say of fields: those that a request must set, and those that only the service sets."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from .errors import refused
from .pool import option

_BEHAVIOUR = "google.api.field_behavior"
#: Marked as required, and accepted without by the services themselves: the first as recorded
#: (tests/data/vertex/dataset.json), the others where the request has them for all entries (google/logging/v2).
_LENIENT = frozenset({"Dataset.metadata", "LogEntry.log_name", "LogEntry.resource"})
#: As google/api/field_behavior.proto numbers them.
REQUIRED, OUTPUT_ONLY = 2, 3


def check_required(request: Message) -> None:
    """Have every field that is required be set, in the request and in every message in it that is set.

    Raises:
        ServiceError: INVALID_ARGUMENT; names all of those that are not.
    """
    missing = list(_missing(request, ""))
    if "update_mask" in request.DESCRIPTOR.fields_by_name:  # of a resource only what changes has to be there
        masked = tuple(getattr(request, "update_mask").paths)  # noqa: B009 - a message has no types
        missing = [path for path in missing if path.partition(".")[2].startswith(masked) or "." not in path]
    if missing:
        raise refused([(path, "Required field is not set.") for path in missing])


def clear_output_only(message: Message, *, keep: frozenset[str] = frozenset()) -> None:
    """Take out what only the service sets: it takes no notice of such fields in what a client sends.

    Args:
        message: a resource.
        keep: names of fields of ``message`` itself that stay, such as ``name`` in an update.
    """
    target: Any = message
    for field in marked(message.DESCRIPTOR, OUTPUT_ONLY):
        if field.name not in keep:
            target.ClearField(field.name)
    for _, part in _parts(message):
        clear_output_only(part)


def _missing(message: Message, path: str) -> Iterator[str]:
    for field in marked(message.DESCRIPTOR, REQUIRED):
        if not _is_set(message, field):
            yield f"{path}{field.name}"
    for name, part in _parts(message):
        yield from _missing(part, f"{path}{name}.")


def _is_set(message: Any, field: FieldDescriptor) -> bool:
    if field.is_repeated:
        return len(getattr(message, field.name)) > 0
    if field.has_presence:
        return bool(message.HasField(field.name))
    if field.enum_type is not None and not field.enum_type.values_by_number[0].name.endswith("UNSPECIFIED"):
        return True  # its first value is a choice like the others: ListTimeSeriesRequest.view
    return bool(getattr(message, field.name) != field.default_value)


def _parts(message: Any) -> Iterator[tuple[str, Message]]:
    """The messages of this API that are set in a message, with their places; those of maps are none of them."""
    for field, value in message.ListFields():
        kind = field.message_type
        if kind is None or kind.GetOptions().map_entry or kind.full_name.startswith("google.protobuf."):
            continue
        if field.is_repeated:
            yield from ((f"{field.name}[{number}]", one) for number, one in enumerate(value))
        else:
            yield field.name, value


@functools.cache
def marked(kind: Descriptor, behaviour: int) -> tuple[FieldDescriptor, ...]:
    """The fields of a kind that are marked so."""
    found = [field for field in kind.fields if behaviour in option(field, _BEHAVIOUR)]
    return tuple(field for field in found if f"{kind.name}.{field.name}" not in _LENIENT)
