"""What can go wrong in a job or in a server, in words for its user."""

from __future__ import annotations

from collections.abc import Iterable, Mapping


class Problem(ValueError):
    """The job or the server cannot start as it was asked to; the message is one line that says what to do."""


class BadRequest(ValueError):
    """A request that its sender has to correct. A predictor raises it to answer 400 with its message."""


class HttpError(Exception):
    """An answer other than success: ``status``, a message for the client, and ``headers`` that go with it."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


def shown(error: BaseException) -> str:
    """An exception as Python prints it: ``KeyError: 'x'``, or its name alone where it has no text."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def nearest(given: str, known: Iterable[str]) -> str:
    """``did you mean 'x'?`` or, when nothing is close, the list of what is known."""
    import difflib

    names = sorted(known)
    if not names:
        return "none is known here"
    matches = difflib.get_close_matches(given, names, n=1, cutoff=0.6)
    return f"did you mean {matches[0]!r}?" if matches else f"known: {', '.join(names)}"
