"""The language of filters that Cloud Logging and Cloud Monitoring share: a text to a tree of conditions.

NOT binds closest, then OR, then AND, and what stands side by side is joined by AND (AIP-160, and the description of the
Logging query language). What the names in a condition mean is for the service to say.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

#: Characters of a filter, and parentheses within each other.
_LONGEST, _DEEPEST = 20_000, 60
_TOKEN = re.compile(
    r"""(?P<skip>\s+|--[^\n]*)
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<operator><=|>=|!=|=~|!~|[=<>:])
      | (?P<mark>[(),])
      | (?P<word>[^\s"'()=<>!:,]+)
      | (?P<wrong>.)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}
_KEYWORDS = ("AND", "OR", "NOT")


class FilterError(ValueError):
    """A filter that cannot be read; the text says where."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: line from 1, column from 0, as the services count them."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}"


@dataclass(frozen=True, slots=True)
class Literal:
    """A value, or a text that is searched for; ``quoted`` tells ``"*"`` from ``*``."""

    text: str
    quoted: bool
    place: Place


@dataclass(frozen=True, slots=True)
class Call:
    """``starts_with("a")``."""

    name: str
    arguments: tuple[Literal, ...]
    place: Place


@dataclass(frozen=True, slots=True)
class And:
    """All of the parts."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Any of the parts."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a part."""

    part: Node


@dataclass(frozen=True, slots=True)
class Comparison:
    """``path operator value``; the value is a literal, a call, or several of them joined by AND, OR and NOT."""

    path: tuple[str, ...]
    operator: str
    value: Node
    place: Place


Node = And | Or | Not | Comparison | Literal | Call


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int
    place: Place


def parse(text: str) -> Node | None:
    """The tree of a filter; None for an empty one.

    Raises:
        FilterError: it is too long, nested too deeply, or not of the language.
    """
    if len(text) > _LONGEST:
        raise FilterError(f"the filter is longer than {_LONGEST} characters")
    parser = _Parser(list(_tokens(text)))
    return None if parser.now.kind == "end" else parser.whole()


def conjuncts(node: Node | None) -> tuple[Node, ...]:
    """The conditions that all have to be true."""
    if node is None:
        return ()
    return tuple(part for one in node.parts for part in conjuncts(one)) if isinstance(node, And) else (node,)


def leaves(node: Node) -> Iterator[Node]:
    """The comparisons, literals and calls of a tree."""
    if isinstance(node, (And, Or)):
        for part in node.parts:
            yield from leaves(part)
    elif isinstance(node, Not):
        yield from leaves(node.part)
    else:
        yield node


def _tokens(text: str) -> Iterator[_Token]:
    line, begun = 1, 0
    for found in _TOKEN.finditer(text):
        kind, content = str(found.lastgroup), found[0]
        if kind != "skip":
            yield _Token(kind, content, found.start(), found.end(), Place(line, found.start() - begun))
        if "\n" in content:
            line += content.count("\n")
            begun = found.start() + content.rindex("\n") + 1
    yield _Token("end", "", len(text), len(text), Place(line, len(text) - begun))


class _Parser:
    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens, self._at, self._depth = tokens, 0, 0

    @property
    def now(self) -> _Token:
        return self._tokens[self._at]

    def whole(self) -> Node:
        node = self._all(values=False)
        if self.now.kind != "end":
            raise self._wrong()
        return node

    def _all(self, *, values: bool) -> Node:
        """Parts joined by AND, or side by side."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise FilterError(f"the filter is nested too deeply at {self.now.place}")
        parts = [self._any(values=values)]
        while self.now.kind in ("word", "text") or self.now.text == "(":
            if self._keyword("AND"):
                self._at += 1
            parts.append(self._any(values=values))
        self._depth -= 1
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _any(self, *, values: bool) -> Node:
        """Parts joined by OR."""
        parts = [self._term(values=values)]
        while self._keyword("OR"):
            self._at += 1
            parts.append(self._term(values=values))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _term(self, *, values: bool) -> Node:
        if self._keyword("NOT"):
            self._at += 1
            return Not(self._simple(values=values))
        token = self.now
        if not values and token.kind == "word" and token.text.startswith("-"):
            self._without_minus(token)
            return Not(self._simple(values=values))
        return self._simple(values=values)

    def _without_minus(self, token: _Token) -> None:
        """Have the token begin behind its minus, or be left out where it is nothing else."""
        if token.text == "-":
            self._at += 1
        else:
            place = Place(token.place.line, token.place.column + 1)
            self._tokens[self._at] = _Token("word", token.text[1:], token.start + 1, token.end, place)

    def _simple(self, *, values: bool) -> Node:
        if self.now.text == "(" and self.now.kind == "mark":
            self._at += 1
            inner = self._all(values=values)
            self._expect(")")
            return inner
        if values:
            return self._value()
        return self._restriction()

    def _restriction(self) -> Node:
        place, start = self.now.place, self._at
        value = self._value()
        if isinstance(value, Call):
            return value
        self._at = start
        path = self._path()
        if self.now.kind != "operator":
            self._at = start
            return self._value()
        operator = self.now.text
        self._at += 1
        if not path:  # a quoted text has no fields
            self._at -= 1
            raise self._wrong()
        return Comparison(path, operator, self._argument(), place)

    def _argument(self) -> Node:
        if self.now.text == "(" and self.now.kind == "mark":
            return self._simple(values=True)
        return self._value()

    def _value(self) -> Literal | Call:
        token = self.now
        if token.kind == "text":
            self._at += 1
            return Literal(_unquoted(token.text), True, token.place)
        if token.kind != "word" or token.text in _KEYWORDS:
            raise self._wrong()
        self._at += 1
        if self.now.text == "(" and self.now.kind == "mark" and self.now.start == token.end:
            return Call(token.text, tuple(self._arguments()), token.place)
        return Literal(token.text, False, token.place)

    def _arguments(self) -> Iterator[Literal]:
        self._expect("(")
        while True:
            value = self._value()
            if isinstance(value, Call):
                self._at -= 1
                raise self._wrong()
            yield value
            if self.now.text != ",":
                break
            self._at += 1
        self._expect(")")

    def _path(self) -> tuple[str, ...]:
        """``labels."a/b".c``; empty for a quoted text."""
        token = self.now
        self._at += 1
        if token.kind == "text":
            return ()
        parts, end, open_end = token.text.split("."), token.end, token.text.endswith(".")
        while (token := self.now).start == end and (token.kind == "text" if open_end else token.text.startswith(".")):
            parts = [*parts[:-1], _unquoted(token.text)] if open_end else [*parts, *token.text[1:].split(".")]
            end, open_end = token.end, token.kind == "word" and token.text.endswith(".")
            self._at += 1
        if "" in parts:
            raise self._wrong()
        return tuple(parts)

    def _keyword(self, name: str) -> bool:
        return self.now.kind == "word" and self.now.text == name

    def _expect(self, mark: str) -> None:
        if self.now.text != mark or self.now.kind != "mark":
            raise self._wrong()
        self._at += 1

    def _wrong(self) -> FilterError:
        token = self.now
        return FilterError(f"syntax error at {token.place}, token '{token.text or '<EOF>'}'")


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), text[1:-1], flags=re.DOTALL)
