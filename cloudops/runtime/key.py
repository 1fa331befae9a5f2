"""The key that a router and its replicas share, so that nobody goes around the router by asking a replica itself."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from .errors import HttpError

HEADER = "x-cloudops-key"


def check(key: str | None, headers: Mapping[str, str]) -> None:
    """Let a request with these headers pass, if it has the key or none is asked for.

    Raises:
        HttpError: 401 where it has not.
    """
    given = headers.get(HEADER, "").encode("utf-8", "replace")
    if key is not None and not hmac.compare_digest(given, key.encode()):
        raise HttpError(401, f"only the endpoint's router may ask here, with its key in {HEADER}; ask the endpoint")
