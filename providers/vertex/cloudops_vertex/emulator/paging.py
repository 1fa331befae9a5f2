"""Tokens of pages: where the next page begins, good for the very question that the last one answered."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from .protocol.errors import ServiceError


def token(question: object, place: Any) -> str:
    """A token that :func:`place` reads; ``place`` is a value of JSON."""
    packed = json.dumps([_digest(question), place], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def place(question: object, given: str) -> Any:
    """What a token was made with; None for an empty one.

    Raises:
        ServiceError: INVALID_ARGUMENT: it is not one, or was given out for another question.
    """
    if not given:
        return None
    try:
        digest, found = json.loads(base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)))
    except (ValueError, TypeError):
        raise ServiceError("INVALID_ARGUMENT", "page_token is not valid.") from None
    if digest != _digest(question):
        text = "page_token is not valid: the other fields of the request differ from those that it was given out for."
        raise ServiceError("INVALID_ARGUMENT", text)
    return found


def _digest(question: object) -> str:
    return hashlib.sha256(repr(question).encode("utf-8", "surrogatepass")).hexdigest()[:16]
