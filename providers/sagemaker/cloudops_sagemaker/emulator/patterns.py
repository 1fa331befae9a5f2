"""The regular expressions of AWS's models, which are Java's, as Python's: classes by Unicode property are spelt out."""

from __future__ import annotations

import functools
import re
import unicodedata

_PROPERTY = re.compile(r"\\p\{(\w+)\}")
_JAVA = {
    "Alnum": "a-zA-Z0-9",
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Lower": "a-z",
    "Upper": "A-Z",
    "ASCII": r"\x00-\x7F",
    "Print": r"\x20-\x7E",
    "Graph": r"\x21-\x7E",
    "Space": r" \t\n\x0B\f\r",
}
#: A length after an anchor for the end, which Java leaves aside, as do we: the model has the length besides.
_TRAILING = re.compile(r"\$\{\d+,\d*\}$")


@functools.cache
def matcher(pattern: str | None) -> re.Pattern[str] | None:
    """What a value has to match as a whole; None where there is no pattern, or it is one of :func:`untranslated`."""
    if pattern is None:
        return None
    try:
        return re.compile(
            _TRAILING.sub("", _PROPERTY.sub(lambda found: _class(found[1]), pattern).replace(r"\z", r"\Z"))
        )
    except (re.error, KeyError):
        return None


def untranslated(patterns: list[str]) -> list[str]:
    """Those of ``patterns`` that Python has no equivalent for, and that are therefore not checked."""
    return [pattern for pattern in patterns if matcher(pattern) is None]


@functools.cache
def _class(name: str) -> str:
    """The inside of a character class for a Unicode category (``L``, ``Zs``) or one of Java's own names."""
    if name in _JAVA:
        return _JAVA[name]
    if not re.fullmatch(r"[LMNPSZC][a-z]?", name):
        raise KeyError(name)
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in _ranges(name))


def _ranges(category: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for code, letter in _categories():
        if not letter.startswith(category):
            continue
        if found and found[-1][1] == code - 1:
            found[-1] = (found[-1][0], code)
        else:
            found.append((code, code))
    return found


@functools.cache
def _categories() -> tuple[tuple[int, str], ...]:
    """The category of each character of the basic plane, and of those beyond that have one at all."""
    return tuple((code, found) for code in range(0x110000) if (found := unicodedata.category(chr(code))) != "Cn")
