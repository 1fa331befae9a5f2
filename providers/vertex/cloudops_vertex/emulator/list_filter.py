"""Filters of lists of Vertex AI's resources: conditions on the fields of messages."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from .filters import And, Comparison, FilterError, Literal, Node, Not, Or, parse
from .protocol.errors import ServiceError, refused

#: A condition on a message.
Test = Callable[[Any], bool]
_OPERATORS = ("=", "!=", "<", ">", "<=", ">=", ":")


def list_filter(text: str) -> Test:
    """What ``text`` asks of a message.

    Raises:
        ServiceError: INVALID_ARGUMENT: it cannot be read. The test raises it for a field that a message does not have.
    """
    try:
        tree = parse(text)
    except FilterError as error:
        raise _refusal(f"Invalid filter {text!r}: {error}.") from None
    return (lambda message: True) if tree is None else _test(tree)


def _test(node: Node) -> Test:
    if isinstance(node, Not):
        inner = _test(node.part)
        return lambda message: not inner(message)
    if isinstance(node, (And, Or)):
        tests, joined = [_test(part) for part in node.parts], all if isinstance(node, And) else any
        return lambda message: joined(test(message) for test in tests)
    if isinstance(node, Comparison) and isinstance(node.value, Literal) and node.operator in _OPERATORS:
        path, mark, wanted = node.path, node.operator, node.value
        return lambda message: _compare(_values(message, path), mark, wanted)
    raise _refusal("Invalid filter: only comparisons of fields with values are supported.")


def _refusal(text: str) -> ServiceError:
    return refused([("filter", text)])


def _values(message: Any, path: Sequence[str]) -> list[Any]:
    """What a message has at a path, as plain values; more than one in a repeated field.

    Raises:
        ServiceError: INVALID_ARGUMENT: it has no such field.
    """
    name, rest = path[0], path[1:]
    field = next((one for one in message.DESCRIPTOR.fields if name in (one.name, one.json_name)), None)
    if field is None:
        raise _refusal(f"Invalid filter: unknown field {name!r}.")
    kind, value = field.message_type, getattr(message, field.name)
    if kind is not None and kind.GetOptions().map_entry:
        return [value[key] for key in (".".join(rest),) if key in value] if rest else list(value)
    if kind is not None and kind.full_name == "google.protobuf.Timestamp":
        return [value.ToJsonString()] if message.HasField(field.name) else []
    items = list(value) if field.is_repeated else [value]
    if kind is not None:
        return [found for item in items for found in (_values(item, rest) if rest else [item])]
    if field.enum_type is not None:
        known = field.enum_type.values_by_number
        return [known[item].name for item in items if item in known]
    if name == "name":  # an id is as good as the whole name
        return [part for item in items for part in (item, item.rpartition("/")[2])]
    return items


def _compare(found: Sequence[Any], mark: str, wanted: Literal) -> bool:
    if mark == "!=":
        return not _compare(found, "=", wanted)
    if mark == ":":
        every = wanted.text == "*" and not wanted.quoted
        return bool(found) if every else any(wanted.text.lower() in str(one).lower() for one in found)
    return any(_holds(one, mark, wanted.text) for one in found)


def _holds(one: Any, mark: str, wanted: str) -> bool:
    if isinstance(one, bool):
        return mark == "=" and str(one).lower() == wanted.lower()
    right: Any = wanted
    if isinstance(one, (int, float)):
        try:
            right = float(wanted)
        except ValueError:
            return False
    if mark == "=" and isinstance(one, str) and "*" in wanted:
        return re.fullmatch(".*".join(map(re.escape, wanted.split("*"))), one) is not None
    return bool({"=": one == right, "<": one < right, ">": one > right, "<=": one <= right, ">=": one >= right}[mark])
