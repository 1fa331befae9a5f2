"""Signed claims, as service accounts send them (RFC 7519, with RS256)."""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Jwt:
    """Claims that say who somebody is, not verified yet.

    Args:
        header: such as ``{"alg": "RS256", "kid": "..."}``.
        claims: such as ``{"iss": "...", "exp": 1700000000}``.
        signed: what the signature is of.
        signature: of whoever it says it is of.
    """

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    signature: bytes

    def time(self, name: str) -> float:
        """A claim that is a time; 0 where it is none."""
        found = self.claims.get(name)
        return float(found) if isinstance(found, (int, float)) and not isinstance(found, bool) else 0.0

    def text(self, name: str) -> str:
        """A claim that is a text; empty where it is none."""
        found = self.claims.get(name)
        return found if isinstance(found, str) else ""

    def is_signed_with(self, private: str) -> bool:
        """Whether the signature is that of a private key (PEM)."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        if self.header.get("alg") != "RS256":
            return False
        try:
            _public(private).verify(self.signature, self.signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return False
        return True


def parse(text: str) -> Jwt | None:
    """The claims of a token; None where it is none."""
    parts = text.split(".")
    if len(parts) != 3:
        return None
    try:
        header, claims = (json.loads(_decoded(part)) for part in parts[:2])
        signature = _decoded(parts[2])
    except ValueError:
        return None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        return None
    return Jwt(header, claims, ".".join(parts[:2]).encode(), signature)


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


@functools.lru_cache(maxsize=16)
def _public(private: str) -> Any:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    return load_pem_private_key(private.encode(), None).public_key()
