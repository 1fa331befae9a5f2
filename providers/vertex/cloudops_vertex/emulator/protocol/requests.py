"""Requests over REST to messages, and messages to answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from .errors import ServiceError, malformed
from .parsing import parse
from .pool import class_of, pool
from .routes import Matched

#: Parameters of every method, which Google's front end takes for itself.
_SYSTEM = frozenset(
    {"alt", "$alt", "fields", "$fields", "key", "$key", "prettyPrint", "$prettyPrint", "quotaUser", "$quotaUser"}
    | {"access_token", "callback", "$.xgafv", "oauth_token", "uploadType", "upload_protocol", "userProject"}
)


def read(matched: Matched, query: Mapping[str, Sequence[str]], body: bytes) -> Message:
    """The message that a request is.

    Args:
        matched: the route that it takes.
        query: the values of each parameter.
        body: as it was sent.

    Raises:
        ServiceError: INVALID_ARGUMENT: the body is not JSON, or it or a parameter does not fit.
    """
    request = class_of(matched.route.method.input_type)()
    if matched.route.body:
        _read_body(request, matched.route.body, body)
    for path, value in matched.values.items():
        _put(request, path.split("."), [value])
    problems = []
    for name, values in query.items():
        if name not in _SYSTEM and (problem := _parameter(request, name, values)):
            problems.append(problem)
    if problems:
        raise malformed(problems)
    return request


def _read_body(request: Message, name: str, body: bytes) -> None:
    try:
        value = json.loads(body) if body.strip() else {}
    except (ValueError, UnicodeDecodeError) as error:
        raise malformed([("", f"Invalid JSON payload received. {error}")]) from None
    if name == "*":
        parse(value, request)
    else:
        part = getattr(request, name)
        part.SetInParent()
        parse(value, part, name)


def _parameter(request: Message, name: str, values: Sequence[str]) -> tuple[str, str] | None:
    """Put a parameter into its field; where and why it has none."""
    path, kind = [], cast("Descriptor", request.DESCRIPTOR)
    parts = name.split(".")
    for number, part in enumerate(parts):
        field = _field(kind, part)
        last = number == len(parts) - 1
        if field is None or (not last and field.message_type is None):
            return "", f'Invalid JSON payload received. Unknown name "{name}": Cannot bind query parameter.'
        path.append(field.name)
        if not last:
            kind = cast("Descriptor", field.message_type)
    try:
        _put(request, path, values)
    except (ValueError, json_format.ParseError):
        shown = ".".join(path)
        return shown, f"Invalid value at '{shown}' (query parameter), \"{values[-1]}\""
    return None


def _field(kind: Descriptor, name: str) -> FieldDescriptor | None:
    return next((field for field in kind.fields if name in (field.name, field.json_name)), None)


def _put(request: Message, path: Sequence[str], values: Sequence[str]) -> None:
    """Set a field by its path, from texts. Raises ValueError or ParseError."""
    target: Any = request
    for name in path[:-1]:
        target = getattr(target, name)
    field = target.DESCRIPTOR.fields_by_name[path[-1]]
    found = [_value(field, value) for value in values]
    json_format.ParseDict({field.name: found if field.is_repeated else found[-1]}, target)


def _value(field: FieldDescriptor, value: str) -> Any:
    if field.type == FieldDescriptor.TYPE_BOOL:
        if value not in ("true", "false"):
            raise ValueError(value)
        return value == "true"
    if field.enum_type is not None and value.lstrip("-").isdecimal():
        return int(value)
    if field.message_type is not None and field.message_type.full_name == "google.protobuf.FieldMask":
        return ",".join(_camel(one.strip()) for one in value.split(","))
    return value


def _camel(path: str) -> str:
    """A path of a mask as JSON has it; clients send ``display_name`` as well as ``displayName``."""
    head, *rest = path.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def enums_as_numbers(query: Mapping[str, Sequence[str]]) -> bool:
    """Whether a client wants numbers for enums: the SDK's transport sends ``$alt=json;enum-encoding=int``."""
    return any("enum-encoding=int" in value for name in ("$alt", "alt") for value in query.get(name, ()))


def write(answer: Message, *, numbers: bool = False) -> dict[str, Any]:
    """A message as JSON; what is not set is left out, as the service does."""
    return json_format.MessageToDict(answer, use_integers_for_enums=numbers, descriptor_pool=pool())


def unknown(verb: str, path: str) -> ServiceError:
    """The error of a request that is no method's."""
    return ServiceError("NOT_FOUND", f"Method not found: {verb} {path}")
