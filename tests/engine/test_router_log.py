from __future__ import annotations

import logging
import sys

from cloudops.engine.router_log import Discreet


def _record(message: str, *arguments: object, failed: bool = False) -> str:
    info = sys.exc_info() if failed else None
    record = logging.LogRecord("aiohttp.server", logging.ERROR, "web.py", 7, message, arguments, info)
    record.created = 12.5
    return Discreet().format(record)


def test_messages_are_left_out() -> None:
    assert _record("bad header %r", "hunter2") == "12.500000 ERROR aiohttp.server (web.py:7)"


def test_exceptions_are_told_by_type_and_place() -> None:
    try:
        raise ValueError("hunter2")
    except ValueError:
        text = _record("Unhandled exception", failed=True)
    assert text.startswith("12.500000 ERROR aiohttp.server (web.py:7): ValueError at ")
    assert __file__ in text
    assert "hunter2" not in text
