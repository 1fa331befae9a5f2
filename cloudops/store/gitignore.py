"""Git's ignore patterns, compiled so that a walk asks once per entry.

Each entry of a folder is judged by itself, from the top down, and an ignored folder is not entered; that is how git
does it (gitignore(5), ``wildmatch.c``). All patterns of a file become two regular expressions, one over the entry's
name and one over its path, whose alternatives stand in reverse order: the first that matches is the last in the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

#: POSIX character classes as git reads them: over ASCII only.
_CLASSES = {
    "alnum": "a-zA-Z0-9",
    "alpha": "a-zA-Z",
    "blank": " \\t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "\\x21-\\x7e",
    "lower": "a-z",
    "print": "\\x20-\\x7e",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\t-\\r ",
    "upper": "A-Z",
    "xdigit": "0-9a-fA-F",
}
_SPECIAL = re.compile(r"[*?\[\\]")
_STARS = re.compile(r"\*+")


class _Pattern(NamedTuple):
    """A line: what it does, to what, and the expression over a name or, with ``in_path``, over a path."""

    negated: bool
    folders_only: bool
    in_path: bool
    expression: str


class Patterns:
    """The patterns of one ignore file.

    Args:
        lines: its lines, with or without their ends.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        patterns = [parsed for line in lines if (parsed := _parse(line)) is not None]
        self._ignores = [not pattern.negated for pattern in patterns]
        self._folders = _Matchers(list(enumerate(patterns)))
        self._files = _Matchers([(number, one) for number, one in enumerate(patterns) if not one.folders_only])

    def __bool__(self) -> bool:
        return bool(self._ignores)

    def decide(self, name: str, folder: str, is_folder: bool) -> bool | None:
        """Whether an entry is ignored (True), kept (False), or not mentioned (None).

        Args:
            name: the entry's name.
            folder: the path to the folder that it is in from the ignore file's, empty or with a trailing ``/``.
            is_folder: whether it is a folder itself.
        """
        matchers = self._folders if is_folder else self._files
        last = -1
        if matchers.name is not None and (found := matchers.name(name)) is not None:
            last = matchers.name_numbers[found.lastindex or 0]
        if matchers.path is not None and (found := matchers.path(folder + name)) is not None:
            last = max(last, matchers.path_numbers[found.lastindex or 0])
        return None if last < 0 else self._ignores[last]


class _Matchers:
    """Numbered patterns as two matchers; a list tells the number of the pattern behind each group, from group 1 on."""

    __slots__ = ("name", "name_numbers", "path", "path_numbers")

    def __init__(self, numbered: list[tuple[int, _Pattern]]) -> None:
        self.name, self.name_numbers = _alternatives([(n, one.expression) for n, one in numbered if not one.in_path])
        self.path, self.path_numbers = _alternatives([(n, one.expression) for n, one in numbered if one.in_path])


def _alternatives(numbered: list[tuple[int, str]]) -> tuple[Callable[[str], re.Match[str] | None] | None, list[int]]:
    """One matcher for all expressions, later ones first."""
    if not numbered:
        return None, []
    backwards = numbered[::-1]
    matcher = re.compile("|".join(f"({expression})" for _, expression in backwards), re.DOTALL)
    return matcher.fullmatch, [-1, *(number for number, _ in backwards)]


def _parse(line: str) -> _Pattern | None:
    """The pattern of a line; None where it matches nothing."""
    pattern = _without_trailing_spaces(line.rstrip("\n").removesuffix("\r"))
    if not pattern or pattern.startswith("#"):
        return None
    negated = pattern.startswith("!")
    pattern = pattern[negated:]
    folders_only = pattern.endswith("/")
    pattern = pattern.removesuffix("/")
    in_path = "/" in pattern
    expression = translate(pattern.removeprefix("/"), in_path) if pattern else None
    return None if expression is None else _Pattern(negated, folders_only, in_path, expression)


def _without_trailing_spaces(line: str) -> str:
    stripped = line.rstrip(" ")
    backslashes = len(stripped) - len(stripped.rstrip("\\"))
    return stripped + " " if backslashes % 2 and stripped != line else stripped


def translate(pattern: str, in_path: bool) -> str | None:
    """The regular expression of a pattern, or None where git lets it match nothing."""
    parts: list[str] = []
    at = 0
    while at < len(pattern):
        step = _token(pattern, at, in_path)
        if step is None:
            return None
        text, at = step
        parts.append(text)
    return "".join(parts)


def _token(pattern: str, at: int, in_path: bool) -> tuple[str, int] | None:
    """The expression of the token at ``at`` and where the next one starts; None for an unfinished token."""
    character = pattern[at]
    if character == "*":
        return _star(pattern, at, in_path)
    if character == "?":
        return "[^/]", at + 1
    if character == "[":
        return _bracket(pattern, at + 1)
    if character == "\\":
        return None if at + 1 == len(pattern) else (re.escape(pattern[at + 1]), at + 2)
    return re.escape(character), at + 1


def _star(pattern: str, at: int, in_path: bool) -> tuple[str, int]:
    found = _STARS.match(pattern, at)
    end = found.end() if found else at + 1
    # Git compares what stands before the first wildcard by itself, so that the wildcard is then the first of the rest.
    starts = not _SPECIAL.search(pattern, 0, at) or pattern[at - 1] == "/"
    if not in_path or end - at < 2 or not starts or pattern[end : end + 1] not in ("", "/"):
        return "[^/]*", end
    return (".*", end) if end == len(pattern) else ("(?:.*/)?", end + 1)


def _bracket(pattern: str, at: int) -> tuple[str, int] | None:
    """The class that starts after ``[``; a ``/`` never matches one."""
    negated = pattern.startswith(("!", "^"), at)
    at += negated
    members: list[str] = []
    while at < len(pattern) and (pattern[at] != "]" or not members):
        step = _member(pattern, at)
        if step is None:
            return None
        text, at = step
        members.append(text)
    if at >= len(pattern):
        return None
    inner = "".join(members)
    if negated:
        return f"[^/{inner}]", at + 1
    return (f"(?!/)[{inner}]" if inner else "(?!)"), at + 1


def _member(pattern: str, at: int) -> tuple[str, int] | None:
    """One member of a class: a named class, a range or a character; None for what git refuses."""
    if pattern.startswith("[:", at):
        end = pattern.find("]", at + 2)
        if end < 0:
            return None
        if pattern[end - 1] == ":" and end - 1 > at + 1:
            named = _CLASSES.get(pattern[at + 2 : end - 1])
            return None if named is None else (named, end + 1)
    first, at = _character(pattern, at)
    if first is None:
        return None
    if pattern[at : at + 1] != "-" or pattern[at + 1 : at + 2] in ("", "]"):
        return re.escape(first), at
    last, at = _character(pattern, at + 1)
    if last is None:
        return None
    return (f"{re.escape(first)}-{re.escape(last)}" if first <= last else ""), at


def _character(pattern: str, at: int) -> tuple[str | None, int]:
    if pattern[at] != "\\":
        return pattern[at], at + 1
    return (pattern[at + 1], at + 2) if at + 1 < len(pattern) else (None, at)
