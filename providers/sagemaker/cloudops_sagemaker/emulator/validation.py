"""Requests checked against botocore's model of a service, with the errors and the texts that AWS answers.

botocore itself checks required members, types and lower bounds; the service also checks enums, patterns and lengths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from .patterns import matcher

_JAVA = {"string": "String", "integer": "Integer", "long": "Long", "float": "Float", "double": "Double"}
_JAVA |= {"boolean": "Boolean", "timestamp": "Date", "blob": "ByteBuffer"}
_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float, str),
    "blob": (str,),
}


class Invalid(Exception):
    """A request that the service refuses; ``code`` is that of its error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def check(shape: Any, params: Mapping[str, Any]) -> None:
    """Check the parameters of an operation whose input has that shape (None: it has none).

    Raises:
        Invalid: they are not what the service's model says; the message tells all of it.
    """
    if shape is None:
        return
    problems = list(_problems(shape, params, ""))
    if problems:
        plural = "s" if len(problems) > 1 else ""
        raise Invalid(
            "ValidationException", f"{len(problems)} validation error{plural} detected: {'; '.join(problems)}"
        )


def _problems(shape: Any, value: Any, path: str) -> Iterator[str]:
    """What is wrong with a value, one text for each; a value of the wrong type is an error by itself."""
    _check_type(shape, value)
    kind = shape.type_name
    if kind == "structure":
        yield from _in_structure(shape, value, path)
    elif kind == "list":
        yield from _size(shape, value, path)
        for index, member in enumerate(value, 1):
            yield from _problems(shape.member, member, f"{path}.{index}.member")
    elif kind == "map":
        yield from _size(shape, value, path)
        yield from _in_map(shape, value, path)
    else:
        yield from (_failed(value, path, constraint) for constraint in _constraints(shape, value))


def _in_structure(shape: Any, value: Mapping[str, Any], path: str) -> Iterator[str]:
    for name in value:
        if name not in shape.members:
            known = ", ".join(sorted(shape.members))
            raise Invalid("ValidationException", f"Unknown member {name!r} of {shape.name}; it has: {known}")
    for name, member in shape.members.items():
        place = f"{path}.{_lower(name)}" if path else _lower(name)
        if value.get(name) is not None:
            yield from _problems(member, value[name], place)
        elif name in shape.required_members:
            yield f"Value null at '{place}' failed to satisfy constraint: Member must not be null"


def _in_map(shape: Any, value: Mapping[str, Any], path: str) -> Iterator[str]:
    for what, member, parts in (("keys", shape.key, value.keys()), ("Map value", shape.value, value.values())):
        for part in parts:
            if member.type_name in ("structure", "list", "map"):
                yield from _problems(member, part, f"{path}.member")
                continue
            _check_type(member, part)
            constraints = list(_constraints(member, part))
            if constraints:
                name = "Map keys" if what == "keys" else what
                yield _failed(_shown(value), path, f"{name} must satisfy constraint: [{', '.join(constraints)}]")


def _constraints(shape: Any, value: Any) -> Iterator[str]:
    """The constraints that a value that has no parts does not satisfy."""
    if isinstance(value, str) and shape.type_name == "string":
        if getattr(shape, "enum", None) and value not in shape.enum:
            yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        yield from _bounds(shape, len(value), "have length")
        found = matcher(shape.metadata.get("pattern"))
        if found is not None and not found.fullmatch(value):
            yield f"Member must satisfy regular expression pattern: {shape.metadata['pattern']}"
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _bounds(shape, value, "have value")


def _size(shape: Any, value: Any, path: str) -> Iterator[str]:
    for constraint in _bounds(shape, len(value), "have length"):
        yield _failed(_shown(value), path, constraint)


def _bounds(shape: Any, size: float, what: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if high is not None and size > high:
        yield f"Member must {what} less than or equal to {high}"
    if low is not None and size < low:
        yield f"Member must {what} greater than or equal to {low}"


def _check_type(shape: Any, value: Any) -> None:
    expected = _TYPES[shape.type_name]
    wrong_bool = isinstance(value, bool) and bool not in expected
    if isinstance(value, expected) and not wrong_bool:
        return
    if shape.type_name in ("structure", "map"):
        raise Invalid("SerializationException", "Start of structure or map found where not expected.")
    given = {dict: "START_OBJECT", list: "START_ARRAY", str: "STRING_VALUE", type(None): "NULL_VALUE"}
    given |= {bool: "TRUE_VALUE" if value else "FALSE_VALUE", int: "NUMBER_VALUE", float: "NUMBER_VALUE"}
    wanted = _JAVA.get(shape.type_name, "List")
    raise Invalid("SerializationException", f"{given[type(value)]} can not be converted to {wanted}")


def _failed(value: Any, path: str, constraint: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: {constraint}"


def _shown(value: Any) -> str:
    """A collection as Java shows it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}={_shown(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return str(value)


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]
