"""Where clients get tokens: ``oauth2.googleapis.com``, and ``sts.googleapis.com`` for identities of other clouds.

Answers and errors are those of RFC 6749 and RFC 8693, in the texts of Google's servers. ID tokens are not emulated.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from . import credentials, jwt
from .protocol.errors import ServiceError
from .tokens import LIFETIME, Token, Tokens
from .web import Request, answer, refuse

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
_SUBJECTS = ("urn:ietf:params:oauth:token-type:jwt", "urn:ietf:params:oauth:token-type:id_token")
#: What the claims of an account have to be for.
_AUDIENCES = (
    credentials.TOKEN_URI,
    "https://accounts.google.com/o/oauth2/token",
    "https://www.googleapis.com/oauth2/v4/token",
    "https://www.googleapis.com/oauth2/v3/token",
)
_PROVIDER = re.compile(
    r"(?:https:)?//iam\.googleapis\.com/(projects/\d+/locations/global/workloadIdentityPools/[a-z0-9-]+)"
    r"/providers/[a-z0-9-]+"
)
_SKEW = 300


class TokenApi:
    """The two servers, as a WSGI application that goes by the host.

    Args:
        tokens: that it gives out.
        now: seconds since the epoch, by the clock that clients have.
    """

    def __init__(self, tokens: Tokens, *, now: Callable[[], float] = time.time) -> None:
        self._tokens, self._now = tokens, now

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        request = Request(environ)
        place = (request.host.partition(".")[0], request.path)
        function = {
            ("oauth2", "/token"): self._token,
            ("oauth2", "/tokeninfo"): self._token_info,
            ("oauth2", "/revoke"): self._revoke,
            ("sts", "/v1/token"): self._exchange,
        }.get(place)
        try:
            if function is None or (request.verb != "POST" and place[1] != "/tokeninfo"):
                raise ServiceError("NOT_FOUND", f"Method not found: {request.verb} {request.path}")
            return answer(start_response, 200, function(request.values()))
        except _OAuthError as error:
            body = {"error": error.code, "error_description": str(error)}
            return answer(start_response, error.status, body)
        except ServiceError as error:
            return refuse(start_response, error)

    def _token(self, values: Mapping[str, str]) -> dict[str, Any]:
        kind = values.get("grant_type", "")
        if kind == _JWT:
            return _given(self._of_claims(values.get("assertion", "")))
        if kind == "refresh_token":
            owner = self._tokens.granted(values.get("refresh_token", ""))
            if owner is None:
                raise _OAuthError("invalid_grant", "Token has been expired or revoked.")
            made = self._tokens.issue(owner, **_scopes(values.get("scope", "")))
            return {**_given(made), "scope": " ".join(made.scopes)}
        if not kind:
            raise _OAuthError("invalid_request", "Required parameter is missing: grant_type")
        raise _OAuthError("unsupported_grant_type", f"Invalid grant_type: {kind}")

    def _of_claims(self, assertion: str) -> Token:
        """A token for an account that signed claims of its own."""
        claims = jwt.parse(assertion)
        if claims is None:
            raise _OAuthError("invalid_grant", "Bad Request")
        email, now = claims.text("iss"), self._now()
        keys = credentials.keys(str(claims.header.get("kid", "")), email)
        if not keys:
            raise _OAuthError("invalid_grant", "Invalid grant: account not found")
        if not any(claims.is_signed_with(key.private) for key in keys):
            raise _OAuthError("invalid_grant", "Invalid JWT Signature.")
        issued, expires = claims.time("iat"), claims.time("exp")
        if not issued - _SKEW <= now < expires + _SKEW or not 0 < expires - issued <= LIFETIME:
            text = (
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. "
                "Check your iat and exp values in the JWT claim."
            )
            raise _OAuthError("invalid_grant", text)
        if claims.text("aud") not in _AUDIENCES:
            text = f"Invalid JWT: Failed audience check. The right audience is {credentials.TOKEN_URI}"
            raise _OAuthError("invalid_grant", text)
        if claims.text("sub") not in ("", email):
            text = (
                "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any "
                "of the scopes requested."
            )
            raise _OAuthError("unauthorized_client", text, 401)
        if claims.text("target_audience"):
            raise _OAuthError("invalid_request", "ID tokens are not emulated by the offline cloud.")
        if not claims.text("scope"):
            raise _OAuthError("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        return self._tokens.issue(email, **_scopes(claims.text("scope")))

    def _exchange(self, values: Mapping[str, str]) -> dict[str, Any]:
        """A token for an identity of another cloud, as its own token says it is; that one's issuer is not asked."""
        if values.get("grant_type") != _EXCHANGE:
            raise _OAuthError("invalid_request", 'Invalid value for "grant_type".')
        pool = _PROVIDER.fullmatch(values.get("audience", ""))
        if pool is None:
            text = (
                'Invalid value for "audience". This value should be the full resource name of the Identity Provider. '
                "See https://cloud.google.com/iam/docs/reference/sts/rest/v1/TopLevel/token for the list of possible "
                "formats."
            )
            raise _OAuthError("invalid_request", text)
        if values.get("subject_token_type") not in _SUBJECTS:
            text = f'Invalid value for "subject_token_type"; the offline cloud emulates {" and ".join(_SUBJECTS)}.'
            raise _OAuthError("invalid_request", text)
        claims = jwt.parse(values.get("subject_token", ""))
        if claims is None or not claims.text("sub"):
            raise _OAuthError("invalid_grant", "The subject token could not be parsed, or has no subject.")
        if claims.time("exp") + _SKEW <= self._now():
            raise _OAuthError("invalid_grant", f"The subject token is stale: it expired at {claims.time('exp'):.0f}.")
        principal = f"principal://iam.googleapis.com/{pool[1]}/subject/{claims.text('sub')}"
        made = self._tokens.issue(principal, **_scopes(values.get("scope", "")))
        return {**_given(made), "issued_token_type": _ACCESS_TOKEN}

    def _token_info(self, values: Mapping[str, str]) -> dict[str, Any]:
        found = self._tokens.find(values.get("access_token", ""))
        if found is None:
            raise _OAuthError("invalid_token", "Invalid Value")
        return {
            "scope": " ".join(found.scopes),
            "exp": str(int(found.expires)),
            "expires_in": str(int(found.expires - self._now())),
            "email": found.email,
            "email_verified": "true",
            "access_type": "online",
        }

    def _revoke(self, values: Mapping[str, str]) -> dict[str, Any]:
        if not self._tokens.revoke(values.get("token", "")):
            raise _OAuthError("invalid_token", "Token expired or revoked")
        return {}


class _OAuthError(Exception):
    def __init__(self, code: str, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.code, self.status = code, status


def _given(token: Token) -> dict[str, Any]:
    return {"access_token": token.text, "expires_in": LIFETIME - 1, "token_type": "Bearer"}


def _scopes(text: str) -> dict[str, Any]:
    return {"scopes": tuple(text.split())} if text.strip() else {}
