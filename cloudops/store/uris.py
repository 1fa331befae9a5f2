"""URIs as they may be shown: signatures and passwords belong in no message."""

from __future__ import annotations

import re

_WEB = re.compile(r"(https?://)(?:[^/\s@]+@)?([^\s?#\"'<>]*)([?#][^\s\"'<>)]+)?", re.IGNORECASE)


def scheme(uri: str) -> str:
    """The scheme in lower case; empty for a path."""
    head, separator, _ = uri.partition("://")
    return head.lower() if separator else ""


def redact(text: str) -> str:
    """``text`` with the query and the user of every web address in it left out: ``https://host/data.csv?...``."""
    return _WEB.sub(lambda match: match[1] + match[2] + ("?..." if match[3] else ""), text)
