"""The nearest thing that would have been right."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(given: str, known: Iterable[str]) -> str | None:
    """``did you mean 'x'?`` for the known name closest to ``given``; None when none is close."""
    import difflib

    matches = difflib.get_close_matches(given[:200].lower(), list(known), n=1, cutoff=0.6)
    return f"did you mean {matches[0]!r}?" if matches else None
