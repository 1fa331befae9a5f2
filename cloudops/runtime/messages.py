"""Requests and responses as the application sees them, whichever server carries them."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

JSON = "application/json"
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,200}")


@dataclass(frozen=True)
class Request:
    """One request: ``path`` is decoded and without the query, the names of ``headers`` are in lower case."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    arrived: float = 0.0  # epoch seconds
    id: str = ""


@dataclass
class Response:
    """One response; its length and the connection are the server's business."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


def json_response(value: Any, status: int = 200) -> Response:
    """``value`` as JSON; numbers that JSON does not have are a mistake of the caller (ValueError)."""
    return Response(status, json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace"))


def error_response(status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    """``{"error": message}``, the form of every error here."""
    response = json_response({"error": message}, status)
    response.headers.update(headers or {})
    return response


def text_response(text: str, status: int = 200) -> Response:
    """``text`` as plain UTF-8 text."""
    return Response(status, text.encode(), "text/plain; charset=utf-8")


def request_id(headers: Mapping[str, str]) -> str:
    """The sender's ``X-Request-Id``, or a new one where there is none that a header may hold."""
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
