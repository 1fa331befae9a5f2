"""Lines of the runtime's own in the log of a job or a replica."""

from __future__ import annotations

import sys


def report(reason: str) -> None:
    """Tell why nothing could be started. Whoever runs this shows the line as the reason of the end."""
    note(f"error: {reason}")


def note(text: str) -> None:
    """Write one line to standard error, whatever line ends ``text`` has."""
    print(f"[cloudops] {' '.join(text.split())}", file=sys.stderr, flush=True)
