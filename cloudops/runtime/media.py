"""Media types: reading ``Content-Type`` and choosing by ``Accept`` (RFC 9110, sections 8.3 and 12.5.1)."""

from __future__ import annotations

from collections.abc import Sequence


def parse(text: str) -> tuple[str, dict[str, str]]:
    """``text/CSV; header=present`` as (``text/csv``, {``header``: ``present``}); names in lower case."""
    kind, *rest = text.split(";")
    parameters = {}
    for each in rest:
        key, _, value = each.partition("=")
        parameters[key.strip().lower()] = value.strip().strip('"')
    return kind.strip().lower(), parameters


def choose(accept: str, offered: Sequence[str]) -> str | None:
    """The one of ``offered`` that ``accept`` prefers, the earlier where it does not care; None where none will do."""
    ranges = [_range(each) for each in accept.split(",") if each.strip()] or [("*/*", 1.0)]
    best, chosen = 0.0, None
    for kind in offered:
        quality = _quality(kind, ranges)
        if quality > best:
            best, chosen = quality, kind
    return chosen


def _range(text: str) -> tuple[str, float]:
    kind, parameters = parse(text)
    try:
        return kind, float(parameters.get("q", "1"))
    except ValueError:
        return kind, 1.0


def _quality(kind: str, ranges: Sequence[tuple[str, float]]) -> float:
    """The quality that the most specific matching range gives to ``kind``; 0 where none matches."""
    for wanted in (kind, f"{kind.split('/')[0]}/*", "*/*"):
        for given, quality in ranges:
            if given == wanted:
                return quality
    return 0.0
