"""Git's ignore patterns, compiled so that a walk asks once per entry.

Each entry of a folder is judged by itself, from the top down, and an ignored folder is not entered; that is how git
does it (gitignore(5), ``wildmatch.c``). All patterns of a file become two regular expressions, one over the entry's
name and one over its path, whose alternatives stand in reverse order: the first that matches is the last in the file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

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
_STARS = re.compile(r"\*+")


class Patterns:
    """The patterns of one ignore file.

    Args:
        lines: its lines, with or without their ends.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        names: list[tuple[int, str]] = []
        paths: list[tuple[int, str]] = []
        self._ignores: list[bool] = []
        for line in lines:
            parsed = _parse(line)
            if parsed is not None:
                negated, in_path, expression = parsed
                (paths if in_path else names).append((len(self._ignores), expression))
                self._ignores.append(not negated)
        self._name, self._name_numbers = _alternatives(names)
        self._path, self._path_numbers = _alternatives(paths)

    def __bool__(self) -> bool:
        return bool(self._ignores)

    def decide(self, name: str, folder: str) -> bool | None:
        """Whether an entry is ignored (True), kept (False), or not mentioned (None).

        Args:
            name: the entry's name, with a trailing ``/`` if it is a folder itself.
            folder: the path to the folder that it is in from the ignore file's, empty or with a trailing ``/``.
        """
        last = -1
        if self._name is not None and (found := self._name(name)) is not None:
            last = self._name_numbers[found.lastindex or 0]
        if self._path is not None and (found := self._path(folder + name)) is not None:
            last = max(last, self._path_numbers[found.lastindex or 0])
        return None if last < 0 else self._ignores[last]


def _alternatives(numbered: list[tuple[int, str]]) -> tuple[Callable[[str], re.Match[str] | None] | None, list[int]]:
    """One matcher for all expressions, later ones first, and the number of each of its groups (there is no group 0)."""
    if not numbered:
        return None, []
    backwards = numbered[::-1]
    matcher = re.compile("|".join(f"({expression})" for _, expression in backwards), re.DOTALL)
    return matcher.fullmatch, [-1, *(number for number, _ in backwards)]


def _parse(line: str) -> tuple[bool, bool, str] | None:
    """A line as (negated, matches the path rather than the name, expression); None where it matches nothing."""
    pattern = _without_trailing_spaces(line.rstrip("\n").removesuffix("\r"))
    if not pattern or pattern.startswith("#"):
        return None
    negated = pattern.startswith("!")
    pattern = pattern[negated:]
    folder = pattern.endswith("/")
    pattern = pattern.removesuffix("/")
    in_path = "/" in pattern
    expression = translate(pattern.removeprefix("/"), in_path) if pattern else None
    return None if expression is None else (negated, in_path, expression + ("/" if folder else "/?"))


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
    alone = (at == 0 or pattern[at - 1] == "/") and (end == len(pattern) or pattern[end] == "/")
    if not in_path or end - at < 2 or not alone:
        return "[^/]*", end
    if end == len(pattern):
        return ".+", end
    return "(?:.*/)?", end + 1


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
