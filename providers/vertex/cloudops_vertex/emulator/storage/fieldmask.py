"""Which members of an answer a client wants: ``items(name,size),nextPageToken``.

https://cloud.google.com/storage/docs/json_api#partial-response has the grammar.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from .errors import Invalid

_TOKEN = re.compile(r"[^,/()]+|[,/()]")
#: Everything below.
_ALL: Mapping[str, Any] = {}


def select(value: Any, fields: str) -> Any:
    """What of ``value`` the client wants. Raises Invalid."""
    return _select(value, _parse(fields))


def _select(value: Any, mask: Mapping[str, Any]) -> Any:
    if not mask or ("*" in mask and not mask["*"]):
        return value
    if isinstance(value, list):
        return [_select(one, mask) for one in value]
    if not isinstance(value, Mapping):
        return value
    inner = {key: mask.get(key, mask.get("*")) for key in value}
    return {key: _select(value[key], below) for key, below in inner.items() if below is not None}


def _parse(fields: str) -> Mapping[str, Any]:
    tokens = iter([*_TOKEN.findall(fields.replace(" ", "")), ""])
    mask, end = _group(tokens, fields)
    if end:
        raise _wrong(fields)
    return mask


def _group(tokens: Iterator[str], fields: str) -> tuple[dict[str, Any], str]:
    """Masks that are separated by commas, and the token that ended them."""
    mask: dict[str, Any] = {}
    while True:
        path, below, end = _path(tokens, fields)
        place = mask
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place.setdefault(path[-1], {}).update(below)
        if end != ",":
            return mask, end


def _path(tokens: Iterator[str], fields: str) -> tuple[list[str], Mapping[str, Any], str]:
    """One mask: its names, what it wants of the last of them, and the token behind it."""
    path = []
    while True:
        name = next(tokens, "")
        if not name or name in ",/()":
            raise _wrong(fields)
        path.append(name)
        end = next(tokens, "")
        if end == "(":
            below, closing = _group(tokens, fields)
            if closing != ")":
                raise _wrong(fields)
            return path, below, next(tokens, "")
        if end != "/":
            return path, _ALL, end


def _wrong(fields: str) -> Invalid:
    return Invalid(f"Invalid field selection {fields}", "fields")
