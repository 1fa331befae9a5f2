"""JSON to a message, refused in the words of Google's front end where it does not fit.

``google.protobuf.json_format`` does the work; it tells of the first problem only, in words of its own, so the problems
are looked for before.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from .errors import malformed
from .pool import pool

_LIMITS = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.TYPE_UINT64: (0, 2**64 - 1),
}
_NAMES = {
    getattr(FieldDescriptor, name): name
    for name in vars(FieldDescriptor)
    if name.startswith("TYPE_") and isinstance(getattr(FieldDescriptor, name), int)
}
_TEXT = FieldDescriptor.TYPE_STRING
_Problems = Iterator[tuple[str, str]]


def parse(value: Any, target: Message, root: str = "") -> None:
    """Fill ``target`` with a JSON value; ``root`` is its place in the request.

    Raises:
        ServiceError: INVALID_ARGUMENT, with every member that is unknown or of another type.
    """
    if problems := list(_message(value, cast("Descriptor", target.DESCRIPTOR), root)):
        raise malformed(problems)
    try:
        json_format.ParseDict(value, target, descriptor_pool=pool())
    except json_format.ParseError as error:
        raise malformed([(root, f"Invalid value at '{root}': {error}")]) from None


def _message(value: Any, kind: Descriptor, path: str) -> _Problems:
    if kind.full_name.startswith("google.protobuf.") or kind.full_name in ("google.rpc.Status",):
        return  # they have forms of their own, which the parser knows
    if not isinstance(value, Mapping):
        yield path, f"Invalid value at '{path}' (type.googleapis.com/{kind.full_name}), {_shown(value)}"
        return
    fields = {**kind.fields_by_name, **{field.json_name: field for field in kind.fields}}
    for key, item in value.items():
        field = fields.get(key)
        if field is None:
            where = f" at '{path}'" if path else ""
            yield path, f'Invalid JSON payload received. Unknown name "{key}"{where}: Cannot find field.'
        elif item is not None:
            yield from _field(item, field, f"{path}.{field.name}" if path else field.name)


def _field(value: Any, field: FieldDescriptor, path: str) -> _Problems:
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        if not isinstance(value, Mapping):
            yield path, f"Invalid value at '{path}' (Map), {_shown(value)}"
            return
        for key, item in value.items():
            yield from _one(item, kind.fields_by_name["value"], f'{path}["{key}"]')
    elif field.is_repeated:
        if not isinstance(value, list):
            yield path, f"Invalid value at '{path}' ({_type(field)}), {_shown(value)}"
            return
        for number, item in enumerate(value):
            yield from _one(item, field, f"{path}[{number}]")
    else:
        yield from _one(value, field, path)


def _one(value: Any, field: FieldDescriptor, path: str) -> _Problems:
    if field.message_type is not None:
        yield from _message(value, field.message_type, path)
    elif not _fits(value, field):
        yield path, f"Invalid value at '{path}' ({_type(field)}), {_shown(value)}"


def _fits(value: Any, field: FieldDescriptor) -> bool:
    if field.enum_type is not None:
        names = field.enum_type.values_by_name
        return isinstance(value, int) and not isinstance(value, bool) if not isinstance(value, str) else value in names
    if field.type == FieldDescriptor.TYPE_BOOL:
        return isinstance(value, bool)
    if field.type == _TEXT:
        return isinstance(value, str)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return isinstance(value, str) and _is_base64(value)
    return _is_number(value, field)


def _is_number(value: Any, field: FieldDescriptor) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return False
    try:
        number = float(value)
    except ValueError:
        return False
    limits = _LIMITS.get(field.type)
    if limits is None:
        return True
    return number.is_integer() and limits[0] <= int(value if isinstance(value, int) else number) <= limits[1]


def _is_base64(value: str) -> bool:
    try:
        base64.b64decode(value.replace("-", "+").replace("_", "/") + "=" * (-len(value) % 4), validate=True)
    except binascii.Error:
        return False
    return True


def _type(field: FieldDescriptor) -> str:
    if field.enum_type is not None:
        return f"type.googleapis.com/{field.enum_type.full_name}"
    if field.message_type is not None:
        return f"type.googleapis.com/{field.message_type.full_name}"
    return _NAMES[field.type]


def _shown(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
