"""Validation errors of pydantic as one line: where, what was given, what was expected, the nearest valid key."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from .suggest import nearest
from .yamlfile import Place, dotted, kind_of

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError
    from pydantic.fields import FieldInfo
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
    "string_too_short": "a string that is not empty",
    "none_required": "nothing",
}
#: What other tools call it.
_SYNONYMS = {
    "gpu": "accelerators",
    "gpus": "accelerators",
    "nodes": "num_nodes",
    "spot": "use_spot",
    "hyperparameters": "params",
    "args": "params",
    "environment": "envs",
    "script": "command",
    "entrypoint": "command",
    "replicas": "min_replicas",
}


def describe(error: ValidationError, model: type[BaseModel], data: Any, prefix: Place = ()) -> tuple[Place, str]:
    """The place of the most telling problem, and the line that tells it.

    An unknown key comes before a missing one (the one is usually the other, misspelt), and both before values.

    Args:
        error: what pydantic found.
        model: what it validated against.
        data: what it validated.
        prefix: the place of ``data`` in the document.
    """
    found = error.errors(include_url=False, include_context=True)
    first = min(found, key=lambda item: _rank(item["type"]))
    kind, place = first["type"], _real_place(first, data)
    if kind == "missing":
        above = prefix + place[:-1]
        lead = f"{dotted(above)}: " if above else ""
        return above, f"{lead}the key {place[-1]!r} is missing{_description(model, place)}"
    return prefix + place, f"{dotted(prefix + place)}: {_of_value(kind, first, found, model, place, data)}"


def shown(value: object) -> str:
    """A value as it may appear in a one-line message: quoted, short, its type named where that helps."""
    if isinstance(value, dict | list) or value is None:
        return kind_of(value)
    text = repr(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _of_value(
    kind: str, first: ErrorDetails, found: Sequence[ErrorDetails], model: type[BaseModel], place: Place, data: Any
) -> str:
    if kind == "extra_forbidden":
        return _unknown_key(model, place)
    same = [item for item in found if item["input"] is first["input"] and _real_place(item, data) == place]
    if "[key]" in first["loc"]:
        return f"this key is not valid, expected {_alternatives(same)}"
    if isinstance(first["input"], dict) and kind == "value_error":
        return f"expected {_alternatives(same)}"
    text = f"got {shown(first['input'])}, expected {_alternatives(same)}"
    hint = _type_hint(first["input"], same)
    return text + (f"; {hint}" if hint else _description(model, place))


def _rank(kind: str) -> int:
    return {"extra_forbidden": 0, "missing": 1}.get(kind, 2)


def _real_place(item: ErrorDetails, data: Any) -> Place:
    """The part of pydantic's location that exists in the data; the rest names branches of unions and validators."""
    location = item["loc"]
    keep_last = item["type"] in ("missing", "extra_forbidden")
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
    return _joined(list(dict.fromkeys(_expected(item) for item in items)))


def _joined(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"


def _expected(item: ErrorDetails) -> str:
    if item["type"] in _EXPECTED:
        return _EXPECTED[item["type"]]
    text = item["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    return f"a number {text}" if text.startswith(("less", "greater")) else text.removeprefix("expected ")


def _type_hint(given: object, items: Sequence[ErrorDetails]) -> str:
    """What to do where YAML read something else than was meant: ``on`` is a boolean, ``1.10`` a number."""
    kinds = {item["type"] for item in items}
    if "string_type" in kinds and isinstance(given, bool | int | float):
        return "quote it to make it a string"
    if kinds & {"int_type", "float_type", "bool_type"} and isinstance(given, str) and _looks_plain(given):
        return "without quotes it is one"
    return ""


def _looks_plain(text: str) -> bool:
    return text in ("true", "false") or text.removeprefix("-").replace(".", "", 1).isdecimal()


def _unknown_key(model: type[BaseModel], place: Place) -> str:
    parent, key = model_at(model, place[:-1]), str(place[-1])
    known = sorted(parent.model_fields) if parent is not None else []
    homes = list(_homes(model, key))[:3]
    if homes:
        return f"unknown key here; it belongs {_joined(homes)}"
    if (other := _SYNONYMS.get(key.lower())) in known:
        return f"unknown key; did you mean {other!r}?"
    return f"unknown key; {nearest(key, known) or 'known here: ' + ', '.join(known)}"


def _homes(model: type[BaseModel], key: str, above: Place = ()) -> Iterator[str]:
    """The parts of the document where ``key`` is known."""
    if key in model.model_fields:
        yield f"under {dotted(above)}" if above else "at the top of the file"
    for name, field in model.model_fields.items():
        inner = None if _is_mapping(field) else _model_of(field.annotation)
        if inner is not None:
            yield from _homes(inner, key, (*above, name))


def _is_mapping(field: FieldInfo) -> bool:
    return getattr(field.annotation, "__origin__", None) is dict


def _description(model: type[BaseModel], place: Place) -> str:
    parent = model_at(model, place[:-1]) if place else None
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
