"""Sending a request to an endpoint of this machine."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from typing import Any

from cloudops.errors import AuthError, InvalidRequest, ProviderError, Unavailable
from cloudops.provider import Answer
from cloudops.refs import Ref

_TIMEOUT = 120.0
#: Seconds before each further try of a request whose connection broke: its router was killed, and another comes.
_AGAIN = (0.1, 0.5, 2.0)


def send(ref: Ref, url: str, body: bytes, *, content_type: str, version: str | None, token: str | None) -> Answer:
    """Post ``body`` to the endpoint at ``url``; again where the connection breaks, as predictions have no side effects.

    Raises:
        InvalidRequest: the model refuses it, with its reason.
        AuthError: the endpoint wants another token.
        Unavailable: it does not answer.
        ProviderError: the model failed.
    """
    headers = {"Content-Type": content_type}
    if version is not None:
        headers["x-cloudops-version"] = version
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(f"{url}/invocations", data=body, headers=headers)
    try:
        return _posted(request)
    except urllib.error.HTTPError as error:
        raise _refused(ref, error.code, error.read()) from error
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(
            f"the endpoint {ref.id} does not answer at {url}: {getattr(error, 'reason', error)}",
            provider="local",
            operation="predict",
            ref=ref,
            hint=f"see `cloudops status {ref}`",
        ) from error


def _posted(request: urllib.request.Request) -> Answer:
    for pause in _AGAIN:
        try:
            return _post(request)
        except (OSError, http.client.HTTPException) as error:
            if not _broken(error):
                raise
            time.sleep(pause)
    return _post(request)


def _post(request: urllib.request.Request) -> Answer:
    # An opener of our own: a proxy of the environment has no business with the loopback interface.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=_TIMEOUT) as answer:
        kind = answer.headers.get("Content-Type", "")
        return Answer(answer.read(), kind, answer.headers.get("x-cloudops-version", ""))


def _broken(error: Exception) -> bool:
    """Whether there was a connection, and it ended before the answer did."""
    cause = getattr(error, "reason", error)
    return isinstance(cause, ConnectionResetError | BrokenPipeError | http.client.IncompleteRead)


def _refused(ref: Ref, code: int, body: bytes) -> ProviderError:
    """What an answer of 400 or more means; the model's own reason is in it."""
    try:
        value: Any = json.loads(body)
        reason = value.get("error", value) if isinstance(value, dict) else value
    except ValueError:
        reason = body[:300].decode(errors="replace")
    kind: type[ProviderError] = InvalidRequest if code < 500 else ProviderError
    kind = {401: AuthError, 503: Unavailable, 504: Unavailable}.get(code, kind)
    message = f"the endpoint {ref.id} answered {code}: {str(reason)[:500]}"
    return kind(message, code=str(code), provider="local", operation="predict", ref=ref)
