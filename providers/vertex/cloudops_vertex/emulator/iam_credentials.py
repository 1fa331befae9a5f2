"""``iamcredentials.googleapis.com``: tokens of service accounts for those who may act as them.

Of its methods ``generateAccessToken`` is emulated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .protocol.errors import ServiceError
from .tokens import LIFETIME, Tokens
from .web import Request, answer, refuse

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_PATH = re.compile(r"/v1/projects/(?:-|[^/]+)/serviceAccounts/([^/:]+):(\w+)")
_EMAIL = re.compile(r"[a-z0-9.-]+@[a-z0-9.-]+\.gserviceaccount\.com")
_OTHERS = ("signBlob", "signJwt", "generateIdToken")
_PERMISSION = "iam.serviceAccounts.getAccessToken"


class IamCredentials:
    """The service, as a WSGI application.

    Args:
        tokens: that it gives out.
        may: whether callers have a permission.
    """

    def __init__(self, tokens: Tokens, *, may: Callable[[str], bool] = lambda permission: True) -> None:
        self._tokens, self._may = tokens, may

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        try:
            return answer(start_response, 200, self._answer(Request(environ), environ))
        except ServiceError as error:
            return refuse(start_response, error)

    def _answer(self, request: Request, environ: WSGIEnvironment) -> dict[str, Any]:
        found = _PATH.fullmatch(request.path)
        if found is None or request.verb != "POST":
            raise ServiceError("NOT_FOUND", f"Method not found: {request.verb} {request.path}")
        self._tokens.require(environ)
        email, method = found[1], found[2]
        if method in _OTHERS:
            raise ServiceError("UNIMPLEMENTED", f"{method} is not emulated by the offline cloud.")
        if method != "generateAccessToken":
            raise ServiceError("NOT_FOUND", f"Method not found: {request.verb} {request.path}")
        if not _EMAIL.fullmatch(email):
            raise ServiceError("NOT_FOUND", f"Not found; Gaia id not found for email {email}")
        if not self._may(_PERMISSION):
            text = f"Permission '{_PERMISSION}' denied on resource (or it may not exist)."
            raise ServiceError("PERMISSION_DENIED", text)
        body = request.json()
        scopes, lifetime = body.get("scope"), _seconds(body.get("lifetime", f"{LIFETIME}s"))
        if not isinstance(scopes, list) or not scopes or not all(isinstance(one, str) for one in scopes):
            raise ServiceError(
                "INVALID_ARGUMENT", "Request contains an invalid argument: scope must be a list of texts."
            )
        made = self._tokens.issue(email, lifetime=lifetime, scopes=scopes)
        expires = datetime.fromtimestamp(int(made.expires), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"accessToken": made.text, "expireTime": expires}


def _seconds(given: object) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d{1,9})?)s", str(given))
    if found is None or not 0 < float(found[1]) <= LIFETIME:
        text = f"The access token lifetime cannot exceed {LIFETIME}s. It is written as 600s; this is {given}."
        raise ServiceError("INVALID_ARGUMENT", text)
    return float(found[1])
