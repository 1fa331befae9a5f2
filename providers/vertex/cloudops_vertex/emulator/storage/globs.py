"""The patterns of ``matchGlob``.

https://cloud.google.com/storage/docs/json_api/v1/objects/list#list-objects-and-prefixes-using-glob has their grammar.
"""

from __future__ import annotations

import functools
import re

from .errors import Invalid

_PIECE = re.compile(r"\*\*/|\*\*|\*|\?|\[!?[^\]]+\]|\{[^{}]*\}|\\.|.", re.DOTALL)


@functools.lru_cache(maxsize=64)
def compiled(glob: str) -> re.Pattern[str]:
    """A pattern that matches whole names. Raises Invalid."""
    try:
        return re.compile("".join(_translated(piece) for piece in _PIECE.findall(glob)), re.DOTALL)
    except re.error:
        raise Invalid(f"Invalid glob pattern: {glob}", "matchGlob") from None


def _translated(piece: str) -> str:
    plain = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if piece in plain:
        return plain[piece]
    if len(piece) > 2 and piece[0] == "[":
        return f"[{'^' if piece[1] == '!' else ''}{piece[1:-1].removeprefix('!')}]"
    if len(piece) > 1 and piece[0] == "{":
        return f"(?:{'|'.join(compiled(part).pattern for part in piece[1:-1].split(','))})"
    return re.escape(piece[-1])
