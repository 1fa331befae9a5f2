"""Validation errors of pydantic as one line: where, what was given, what was expected, the nearest valid key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .suggest import nearest
from .yamlfile import Place, dotted, kind_of

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic_core import ErrorDetails

_ABSENT = object()
_EXPECTED = {
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "list_type": "a list",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of keys",
    "string_too_short": "a text that is not empty",
    "none_required": "nothing",
}


def describe(error: ValidationError, model: type[BaseModel], data: Any) -> tuple[Place, str]:
    """The place of the most telling problem, and the line that tells it.

    An unknown key comes before a missing one (the one is usually the other, misspelt), and both before values.
    """
    found = error.errors(include_url=False, include_context=True)
    first = min(found, key=lambda item: _rank(item["type"]))
    place = _real_place(first["loc"], data, keep_last=first["type"] in ("missing", "extra_forbidden"))
    if first["type"] == "extra_forbidden":
        return place, f"{dotted(place)}: {_unknown_key(model, place)}"
    if first["type"] == "missing":
        lead = f"{dotted(place[:-1])}: " if place[:-1] else ""
        return place[:-1], f"{lead}the key {place[-1]!r} is missing{_description(model, place)}"
    same = [item for item in found if _real_place(item["loc"], data, keep_last=False) == place]
    return place, f"{dotted(place)}: got {shown(first['input'])}, expected {_alternatives(same)}"


def shown(value: object) -> str:
    """A value as it may appear in a one-line message: quoted, short, its type named where that helps."""
    if isinstance(value, dict | list) or value is None:
        return kind_of(value)
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _rank(kind: str) -> int:
    return {"extra_forbidden": 0, "missing": 1}.get(kind, 2)


def _real_place(location: Sequence[str | int], data: Any, *, keep_last: bool) -> Place:
    """The part of pydantic's location that exists in the data; the rest names branches of unions and validators."""
    place: list[str | int] = []
    current = data
    for index, part in enumerate(location):
        inside = _child(current, part)
        if inside is not _ABSENT:
            current = inside
        elif not (keep_last and index == len(location) - 1):
            continue
        place.append(part)
    return tuple(place)


def _child(value: Any, part: str | int) -> Any:
    if isinstance(value, dict):
        return value.get(part, _ABSENT)
    if isinstance(value, list) and isinstance(part, int) and part < len(value):
        return value[part]
    return _ABSENT


def _alternatives(items: Sequence[ErrorDetails]) -> str:
    texts = list(dict.fromkeys(_expected(item) for item in items))
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"


def _expected(item: ErrorDetails) -> str:
    if item["type"] in _EXPECTED:
        return _EXPECTED[item["type"]]
    text = item["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return text.removeprefix("expected ")


def _unknown_key(model: type[BaseModel], place: Place) -> str:
    parent = model_at(model, place[:-1])
    known = sorted(parent.model_fields) if parent is not None else []
    hint = nearest(str(place[-1]), known)
    return f"unknown key; {hint or 'known here: ' + ', '.join(known)}"


def _description(model: type[BaseModel], place: Place) -> str:
    parent = model_at(model, place[:-1])
    field = parent.model_fields.get(str(place[-1])) if parent is not None else None
    return f" ({field.description})" if field is not None and field.description else ""


def model_at(model: type[BaseModel], place: Place) -> type[BaseModel] | None:
    """The model that validates what stands at ``place`` of a document of ``model``; None where there is none."""
    current: Any = model
    for part in place:
        field = getattr(current, "model_fields", {}).get(part)
        current = _model_of(field.annotation if field is not None else current)
        if current is None:
            return None
    return current if hasattr(current, "model_fields") else None


def _model_of(annotation: Any) -> Any:
    """The first model in an annotation such as ``TrainSpec | None`` or ``dict[str, TargetSpec]``."""
    if hasattr(annotation, "model_fields"):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_of(argument)
        if found is not None:
            return found
    return None
