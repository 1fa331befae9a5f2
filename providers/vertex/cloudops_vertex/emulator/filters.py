"""Filters of lists, as google.aip.dev/160 describes them: comparisons, AND, OR, NOT, parentheses."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from .protocol.errors import refused

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<mark><=|>=|!=|[=<>:()])|(?P<word>[^\s()<>=!:"']+))"""
)
_MARKS = ("=", "!=", "<", ">", "<=", ">=", ":")
#: A condition on a message.
Test = Callable[[Any], bool]


def compile_filter(text: str) -> Test:
    """What ``text`` asks of a message.

    Raises:
        ServiceError: INVALID_ARGUMENT: it cannot be read.
    """
    if not text.strip():
        return lambda message: True
    return _Parser(text).whole()


class _Parser:
    """Reads a filter from left to right. OR binds tighter than AND, as AIP-160 has it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = self._split()
        self._place = 0

    def whole(self) -> Test:
        found = self._all()
        if self._next is not None:
            raise self._refusal(f"unexpected {self._next!r}")
        return found

    def _split(self) -> list[str]:
        tokens, place, text = [], 0, self._text.rstrip()
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None:
                raise self._refusal(f"cannot be read at {text[place:]!r}")
            tokens.append(found.group().strip())
            place = found.end()
        return tokens

    @property
    def _next(self) -> str | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def _take(self) -> str:
        token = self._next
        if token is None:
            raise self._refusal("it ends too early")
        self._place += 1
        return token

    def _all(self) -> Test:
        tests = [self._any()]
        while self._next not in (None, ")"):
            if self._next == "AND":
                self._take()
            tests.append(self._any())
        return tests[0] if len(tests) == 1 else lambda message: all(test(message) for test in tests)

    def _any(self) -> Test:
        tests = [self._one()]
        while self._next == "OR":
            self._take()
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda message: any(test(message) for test in tests)

    def _one(self) -> Test:
        token = self._take()
        if token in ("NOT", "-"):
            inner = self._one()
            return lambda message: not inner(message)
        if token == "(":
            found = self._all()
            if self._take() != ")":
                raise self._refusal("a parenthesis is not closed")
            return found
        if token.startswith("-") and len(token) > 1:
            inner = self._comparison(token[1:])
            return lambda message: not inner(message)
        return self._comparison(token)

    def _comparison(self, field: str) -> Test:
        mark = self._take() if self._next in _MARKS else None
        if mark is None:
            raise self._refusal(f"{field!r} is compared with nothing")
        value = self._take()
        if value in _MARKS or value in "()":
            raise self._refusal(f"{field!r} is compared with {value!r}")
        wanted = re.sub(r"\\(.)", r"\1", value[1:-1]) if value[0] in "\"'" else value
        path = [part.strip("\"'") for part in _path(field)]
        return lambda message: _compare(_values(message, path), mark, wanted)

    def _refusal(self, why: str) -> Exception:
        return refused([("filter", f"Invalid filter {self._text!r}: {why}.")])


def _path(field: str) -> list[str]:
    return re.findall(r"\"[^\"]*\"|'[^']*'|[^.]+", field)


def _values(message: Any, path: Sequence[str]) -> list[Any]:
    """What a message has at a path, as plain values; more than one in a repeated field.

    Raises:
        ServiceError: INVALID_ARGUMENT: it has no such field.
    """
    name, rest = path[0], path[1:]
    field = next((one for one in message.DESCRIPTOR.fields if name in (one.name, one.json_name)), None)
    if field is None:
        raise refused([("filter", f"Invalid filter: unknown field {name!r}.")])
    kind = field.message_type
    value = getattr(message, field.name)
    if kind is not None and kind.GetOptions().map_entry:
        if not rest:
            return list(value)
        key = ".".join(rest)
        return [value[key]] if key in value else []
    if kind is not None and kind.full_name == "google.protobuf.Timestamp":
        return [value.ToJsonString()] if message.HasField(field.name) else []
    items = list(value) if field.is_repeated else [value]
    if kind is not None:
        return [found for item in items for found in (_values(item, rest) if rest else [item])]
    if field.enum_type is not None:
        return [field.enum_type.values_by_number[item].name for item in items if item in field.enum_type.values_by_number]
    if name == "name":  # an id, or a name with the project's id, is the name as well
        return [part for item in items for part in (item, item.rpartition("/")[2])]
    return items


def _compare(found: Sequence[Any], mark: str, wanted: str) -> bool:
    if mark == "!=":
        return not _compare(found, "=", wanted)
    if mark == ":":
        return bool(found) if wanted == "*" else any(wanted.lower() in str(one).lower() for one in found)
    return any(_holds(one, mark, wanted) for one in found)


def _holds(one: Any, mark: str, wanted: str) -> bool:
    if isinstance(one, bool):
        return mark == "=" and str(one).lower() == wanted.lower()
    left: Any = one
    right: Any = wanted
    if isinstance(one, (int, float)):
        try:
            right = float(wanted)
        except ValueError:
            return False
    if mark == "=":
        if isinstance(left, str) and "*" in wanted:
            pattern = ".*".join(map(re.escape, wanted.split("*")))
            return re.fullmatch(pattern, left) is not None
        return bool(left == right)
    return {"<": left < right, ">": left > right, "<=": left <= right, ">=": left >= right}[mark]
