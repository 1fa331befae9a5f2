"""Access tokens: who has one, and until when.

Clients of service accounts send a token that they were given, or claims that they signed themselves
(https://google.aip.dev/auth/4111); both are looked at here. Lifetimes go by the machine's own clock: a client counts
them by that one, and one whose token had ended because the offline clock was moved on could not know.
"""

from __future__ import annotations

import secrets
import threading
import time as _time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from . import credentials, jwt
from .protocol.errors import ServiceError

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

#: Seconds that a token lasts; by which clocks may differ; and that claims may last.
LIFETIME, _SKEW = 3600, 300
CLOUD = "https://www.googleapis.com/auth/cloud-platform"
#: Tokens are looked through for ended ones when there are so many more.
_MANY = 1000
_EXPECTED = (
    "Expected OAuth 2 access token, login cookie or other valid authentication credential. See "
    "https://developers.google.com/identity/sign-in/web/devconsole-project."
)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token.

    Args:
        text: what is sent.
        email: of whom it is.
        expires: seconds since the epoch.
        scopes: what it is good for.
    """

    text: str
    email: str
    expires: float
    scopes: tuple[str, ...]


class Tokens:
    """The tokens that were given out.

    Args:
        now: seconds since the epoch, by the clock that clients have.
    """

    def __init__(self, *, now: Callable[[], float] = _time.time) -> None:
        self._now = now
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        self._issued: dict[str, Token] = {}
        self._signed: dict[str, Token] = {}
        self._granted: dict[str, str] = {}
        self._ended: dict[str, float] = {}
        self._prune_at = _MANY

    def issue(self, email: str, *, lifetime: float = LIFETIME, scopes: Sequence[str] = (CLOUD,)) -> Token:
        """A new token.

        Args:
            email: of whom it is, or the name of a principal of a pool.
            lifetime: seconds.
            scopes: what it is good for.
        """
        made = Token(f"ya29.c.{secrets.token_urlsafe(96)}", email, self._now() + lifetime, tuple(scopes))
        with self._lock:
            if len(self._issued) >= self._prune_at:
                self._issued = {text: one for text, one in self._issued.items() if one.expires > self._now()}
                self._prune_at = len(self._issued) + _MANY
            self._issued[made.text] = made
        return made

    def grant(self, email: str) -> str:
        """A refresh token, for a file of the type ``authorized_user``."""
        made = f"1//{secrets.token_urlsafe(48)}"
        with self._lock:
            self._granted[made] = email
        return made

    def granted(self, refresh_token: str) -> str | None:
        """Whose refresh token it is; None for one that was never given out, or was revoked."""
        with self._lock:
            return self._granted.get(refresh_token)

    def find(self, text: str, host: str = "") -> Token | None:
        """A token that is good, by what is sent; None for any other.

        Args:
            text: what is sent, without ``Bearer``.
            host: to which; claims that are for another one are no good.
        """
        with self._lock:
            found = self._issued.get(text) or self._signed.get(text)
        if found is None and text.count(".") == 2 and not text.startswith("ya29."):
            found = self._verified(text, host)
        return found if found is not None and found.expires > self._now() else None

    def principal(self, environ: WSGIEnvironment) -> str | None:
        """Who sends a request, such as an email address; None where that cannot be told."""
        kind, _, text = str(environ.get("HTTP_AUTHORIZATION", "")).strip().partition(" ")
        host = str(environ.get("HTTP_HOST", "")).partition(":")[0].lower()
        found = self.find(text.strip(), host) if kind.lower() == "bearer" else None
        return found.email if found else None

    def require(self, environ: WSGIEnvironment) -> str:
        """Who sends a request.

        Raises:
            ServiceError: UNAUTHENTICATED: no token is sent, or none that is good.
        """
        principal = self.principal(environ)
        if principal is not None:
            return principal
        if environ.get("HTTP_AUTHORIZATION"):
            raise _unauthenticated("Request had invalid authentication credentials.", "ACCESS_TOKEN_EXPIRED")
        raise _unauthenticated("Request is missing required authentication credential.", "CREDENTIALS_MISSING")

    def revoke(self, text: str) -> bool:
        """End a token, or a refresh token with all tokens of its owner; False for an unknown one."""
        with self._lock:
            email = self._granted.pop(text, None)
            if email is None:
                return self._issued.pop(text, None) is not None
        self.expire(email)
        return True

    def expire(self, email: str | None = None) -> None:
        """End all tokens of a principal, or of everybody: what was signed by now is no good, either."""
        with self._lock:
            owners = {one.email for one in (*self._issued.values(), *self._signed.values())}
            for owner in owners if email is None else {email}:
                self._ended[owner] = self._now()
            gone = owners if email is None else {email}
            self._issued = {text: one for text, one in self._issued.items() if one.email not in gone}
            self._signed = {text: one for text, one in self._signed.items() if one.email not in gone}

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._forget()

    def _verified(self, text: str, host: str) -> Token | None:
        """What signed claims are worth; remembered, for they are sent with every request."""
        claims = jwt.parse(text)
        if claims is None:
            return None
        email, issued = claims.text("iss"), claims.time("iat")
        expires = min(claims.time("exp"), issued + LIFETIME + _SKEW)
        with self._lock:
            ended = self._ended.get(email, -1.0)
        keys = credentials.keys(str(claims.header.get("kid", "")), email)
        if (
            claims.text("sub") not in ("", email)
            or not ended < issued <= self._now() + _SKEW
            or not (claims.text("scope") or _is_for(claims.text("aud"), host))
            or not any(claims.is_signed_with(key.private) for key in keys)
        ):
            return None
        made = Token(text, email, expires, tuple(claims.text("scope").split()))
        with self._lock:
            if claims.text("scope"):  # claims without one are good for one host only
                self._signed = {old: one for old, one in self._signed.items() if one.expires > self._now()}
                self._signed[text] = made
        return made


def _is_for(audience: str, host: str) -> bool:
    """Whether claims are for a host: itself, or the service that it is a region of."""
    wanted = urlsplit(audience).hostname or ""
    return bool(wanted) and (wanted == host or host.endswith(f"-{wanted}"))


def _unauthenticated(text: str, reason: str) -> ServiceError:
    detail = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
    return ServiceError("UNAUTHENTICATED", f"{text} {_EXPECTED}", [detail])
