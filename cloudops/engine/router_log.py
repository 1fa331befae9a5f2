"""What the router writes to its log: where something went wrong, and nothing that a client sent.

aiohttp and asyncio put what they stumble over into their messages, such as a whole header with a token in it.
"""

from __future__ import annotations

import logging
import traceback
from types import TracebackType


class Discreet(logging.Formatter):
    """Tells the time, who complains where, and the type and place of the exception; leaves out every message."""

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        words = f"{record.created:.6f} {record.levelname} {record.name} ({record.filename}:{record.lineno})"
        kind, _, trace = record.exc_info or (None, None, None)
        return f"{words}: {kind.__name__}{_place(trace)}" if kind else words


def begin() -> None:
    """Have everything that any library logs in this process written to standard error that way."""
    handler = logging.StreamHandler()
    handler.setFormatter(Discreet())
    logging.root.handlers = [handler]
    logging.root.setLevel(logging.WARNING)
    # A full disk is no reason to write more to it.
    logging.raiseExceptions = False


def _place(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)
    return f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
