"""Small HTTP services that no descriptor describes: what a request says, and how it is answered."""

from __future__ import annotations

import http
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from .protocol.errors import ServiceError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

#: Bytes of a body that are read.
_LONGEST = 1 << 20
JSON, HTML = "application/json; charset=UTF-8", "text/html; charset=UTF-8"


class Request:
    """A request. Its body is read when it is asked for.

    Args:
        environ: of WSGI.
    """

    def __init__(self, environ: WSGIEnvironment) -> None:
        self._environ = environ
        self.verb = str(environ["REQUEST_METHOD"])
        self.host = str(environ.get("HTTP_HOST", "")).partition(":")[0].lower()
        self.path = str(environ.get("PATH_INFO", "/"))
        self.query: Mapping[str, str] = _last(str(environ.get("QUERY_STRING", "")))

    def header(self, name: str) -> str:
        """A header by its name; empty where there is none."""
        return str(self._environ.get(f"HTTP_{name.upper().replace('-', '_')}", ""))

    def body(self) -> bytes:
        """The body. Raises ServiceError: it is too long."""
        length = int(self._environ.get("CONTENT_LENGTH") or 0)
        if length > _LONGEST:
            raise ServiceError("INVALID_ARGUMENT", f"Request payload size exceeds the limit: {_LONGEST} bytes.")
        return bytes(self._environ["wsgi.input"].read(length)) if length else b""

    def values(self) -> Mapping[str, str]:
        """The members of a form or of a JSON object, with those of the query; what is neither has none."""
        body = self.body()
        if "json" in str(self._environ.get("CONTENT_TYPE", "")):
            return {**self.query, **{name: str(value) for name, value in _object(body).items()}}
        return {**self.query, **_last(body.decode("utf-8", "replace"))}

    def json(self) -> Mapping[str, Any]:
        """The JSON object that the body is.

        Raises:
            ServiceError: INVALID_ARGUMENT: it is none.
        """
        body = self.body()
        found = _object(body)
        if body.strip() and not found and body.strip() != b"{}":
            raise ServiceError("INVALID_ARGUMENT", "Invalid JSON payload received. It is not an object.")
        return found


def answer(
    start_response: StartResponse,
    status: int,
    body: bytes | str | Mapping[str, Any],
    kind: str = "",
    headers: Iterable[tuple[str, str]] = (),
) -> list[bytes]:
    """Answer with a text, or with a value of JSON."""
    if isinstance(body, Mapping):
        body, kind = json.dumps(dict(body), indent=2) + "\n", kind or JSON
    content = body.encode() if isinstance(body, str) else body
    made = [("Content-Type", kind or HTML), ("Content-Length", str(len(content))), *headers]
    start_response(f"{status} {http.HTTPStatus(status).phrase}", made)
    return [content]


def refuse(start_response: StartResponse, error: ServiceError) -> list[bytes]:
    """Answer with the error of a service."""
    return answer(start_response, error.status, error.body())


def _last(text: str) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
