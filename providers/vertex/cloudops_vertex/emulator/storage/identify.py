"""What a request is about, for faults and the list of calls."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import TYPE_CHECKING

from .errors import StorageError
from .request import Request, peek
from .routes import operations

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

_SERVICE = "storage"
#: So much of a body is looked into for the name of an object; the rest of it is not read.
_LOOK = 16 << 10
_NAME = re.compile(rb'"name"\s*:\s*("(?:[^"\\]|\\.)*")')


def identify(environ: WSGIEnvironment) -> tuple[str, str]:
    """``storage:objects.insert`` and the name of a bucket, or of a bucket and an object with a slash between them.

    What it reads of a body it puts back. Both are empty as far as they cannot be told.
    """
    request = Request(environ)
    try:
        route = request.route
    except StorageError:
        return f"{_SERVICE}:", ""
    name = route.name
    if not name and route.operation in ("objects.insert", "buckets.insert") and request.method == "POST":
        name = _name(peek(environ, _LOOK))
    resource = "/".join(part for part in (route.bucket, name) if part)
    return f"{_SERVICE}:{route.operation}", resource or route.project


def subjects() -> Collection[str]:
    """All names of operations that :func:`identify` can tell."""
    return [f"{_SERVICE}:{operation}" for operation in operations()]


def _name(head: bytes) -> str:
    """What the body's JSON says is the name."""
    found = _NAME.search(head)
    try:
        return str(json.loads(found[1])) if found else ""
    except ValueError:
        return ""
