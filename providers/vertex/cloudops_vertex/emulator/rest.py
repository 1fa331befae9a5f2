"""Requests over REST: a route, a message, and a JSON answer."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from .protocol import pool, requests, routes
from .protocol.errors import CODES, ServiceError

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 409: "Conflict"}
_REASONS |= {429: "Too Many Requests", 499: "Client Closed Request", 500: "Internal Server Error"}
_REASONS |= {501: "Not Implemented", 503: "Service Unavailable", 504: "Gateway Timeout"}
#: Where a request's surroundings keep the headers that its answer is to have.
HEADERS = "cloudops.headers"
_OPERATION = re.compile(r"/(?:v1|v1beta1|ui)/(projects/.+/operations(?:/[^/:]+)?)(:cancel|:wait)?")
_OPERATION_CALLS = {
    ("GET", ""): "GetOperation",
    ("DELETE", ""): "DeleteOperation",
    ("POST", ":cancel"): "CancelOperation",
    ("POST", ":wait"): "WaitOperation",
}


def matched(environ: WSGIEnvironment, package: str) -> routes.Matched:
    """The method of an API that a request calls.

    Raises:
        ServiceError: NOT_FOUND: none.
    """
    verb, path = environ["REQUEST_METHOD"], str(environ["RAW_URI"]).partition("?")[0]
    found = _operation(verb, path) or routes.match(verb, path, package)
    if found is None:
        raise requests.unknown(verb, path)
    return found


def _operation(verb: str, path: str) -> routes.Matched | None:
    """Operations are asked for at places that their own service's rules do not have."""
    place = _OPERATION.fullmatch(path)
    if place is None:
        return None
    name, method = place[1], _OPERATION_CALLS.get((verb, place[2] or ""))
    if name.endswith("/operations"):
        name, method = name.removesuffix("/operations"), "ListOperations" if verb == "GET" else None
    if method is None:
        return None
    body = "*" if verb == "POST" else ""
    route = routes.Route(pool.method(f"google.longrunning.Operations.{method}"), verb, _OPERATION, ("name",), body)
    return routes.Matched(route, {"name": name})


def read(environ: WSGIEnvironment, found: routes.Matched) -> Any:
    """The request's message. Raises ServiceError."""
    query = parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True)
    data, raw = environ["wsgi.input"].read(), _raw_field(found)
    if not raw:
        return requests.read(found, query, data)
    # A body of any kind is the message's HttpBody as it is.
    request: Any = requests.read(found, query, b"")
    body = getattr(request, raw)
    body.data, body.content_type = data, str(environ.get("CONTENT_TYPE", ""))
    return request


def _raw_field(found: routes.Matched) -> str:
    """The field of a method's request that is an HttpBody; empty where none is."""
    fields = found.route.method.input_type.fields if found.route.body else ()
    kinds = {field.message_type.full_name: field.name for field in fields if field.message_type is not None}
    return kinds.get("google.api.HttpBody", "")


def write(environ: WSGIEnvironment, answer: Any, start_response: StartResponse) -> Iterable[bytes]:
    """The answer's message as JSON; the messages of a stream as a list of them; an HttpBody as it is."""
    if isinstance(answer, Iterator):
        return _stream(environ, answer, start_response)
    if answer.DESCRIPTOR.full_name == "google.api.HttpBody":
        headers = [("Content-Type", answer.content_type), ("Content-Length", str(len(answer.data)))]
        start_response("200 OK", [*headers, *environ.get(HEADERS, {}).items()])
        return [answer.data]
    return send(200, requests.write(answer, numbers=_numbers(environ)), start_response)


def refuse(error: ServiceError, start_response: StartResponse) -> Iterable[bytes]:
    """An error's answer."""
    more = [("WWW-Authenticate", 'Bearer realm="https://accounts.google.com/"')] if error.status == 401 else []
    return send(error.status, error.body(), start_response, more)


def send(
    status: int, value: Mapping[str, Any], start_response: StartResponse, headers: Iterable[tuple[str, str]] = ()
) -> Iterable[bytes]:
    """A JSON answer, laid out as Google's front end does."""
    body = (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
    kind = ("Content-Type", "application/json; charset=UTF-8")
    sent = [kind, ("Vary", "Origin"), ("Server", "ESF"), ("Content-Length", str(len(body))), *headers]
    start_response(f"{status} {_REASONS.get(status, 'Unknown')}", sent)
    return [body]


def _stream(environ: WSGIEnvironment, messages: Iterator[Any], start_response: StartResponse) -> Iterator[bytes]:
    first: Any = next(messages, None)
    raw = first is not None and first.DESCRIPTOR.full_name == "google.api.HttpBody"
    kind = first.content_type if raw else "application/json; charset=UTF-8"
    start_response("200 OK", [("Content-Type", kind), *environ.get(HEADERS, {}).items()])
    if raw:
        yield first.data
        yield from (one.data for one in messages)
        return
    yield b"["
    if first is not None:
        yield _piece(environ, first)
    for one in messages:
        yield b",\n" + _piece(environ, one)
    yield b"]"


def _piece(environ: WSGIEnvironment, message: Any) -> bytes:
    return json.dumps(requests.write(message, numbers=_numbers(environ))).encode()


def _numbers(environ: WSGIEnvironment) -> bool:
    return requests.enums_as_numbers(parse_qs(environ.get("QUERY_STRING", "")))


def status_of(code: str) -> int:
    """The HTTP status of an error's code."""
    return CODES[code][0]
