"""``secretmanager.googleapis.com``: secrets and their versions, in memory.

Emulated are ``create``, ``get``, ``list``, ``addVersion``, ``access`` and ``delete``; everything else is refused.
https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets
"""

from __future__ import annotations

import base64
import binascii
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from .faults import NO_TOKEN
from .protocol.errors import ServiceError
from .storage.crc32c import checksum
from .web import Request, answer, refuse

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from .site import Site

_SECRETS = re.compile(r"/v1/projects/([^/]+)/secrets")
_SECRET = re.compile(r"/v1/projects/([^/]+)/secrets/([^/:]+)(?::(\w+))?")
_VERSION = re.compile(r"/v1/projects/([^/]+)/secrets/([^/:]+)/versions/(latest|[0-9]+)(?::(\w+))?")
_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
#: Bytes of one version.
_LARGEST = 65536
#: What a secret may be created with; other members are refused.
_KNOWN = {"name", "replication", "labels", "annotations"}


@dataclass
class Secret:
    """A secret with its versions, the first of which is number 1."""

    document: Mapping[str, Any]
    created: float
    versions: list[bytes] = field(default_factory=list)


class Secrets:
    """Those of all projects, by project number and id."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.found: dict[tuple[str, str], Secret] = {}

    def reset(self) -> None:
        """Forget all of them."""
        with self.lock:
            self.found.clear()


class SecretManager:
    """The service, as a WSGI application."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._secrets = site.secrets

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        try:
            if self._site.tokens.principal(environ) is None:
                raise ServiceError("UNAUTHENTICATED", NO_TOKEN)
            with self._secrets.lock:
                return answer(start_response, 200, self._answer(Request(environ)))
        except ServiceError as error:
            return refuse(start_response, error)

    def identify(self, environ: WSGIEnvironment) -> tuple[str, str]:
        """The operation and the resource of a request."""
        verb, path = str(environ["REQUEST_METHOD"]), str(environ["PATH_INFO"])
        found = _VERSION.fullmatch(path) or _SECRET.fullmatch(path)
        action = (found[found.re.groups] or "") if found else ""
        names = {
            "POST": "AddSecretVersion" if action else "CreateSecret",
            "GET": "AccessSecretVersion" if action else "GetSecret" if found else "ListSecrets",
            "DELETE": "DeleteSecret",
        }
        return f"secretmanager:{names.get(verb, verb)}", found[2] if found else ""

    def _answer(self, request: Request) -> dict[str, Any]:
        if found := _SECRETS.fullmatch(request.path):
            number = self._site.projects.number(found[1])
            if request.verb == "POST":
                return self._create(number, request)
            if request.verb == "GET":
                listed = [self._shown(key) for key in sorted(self._secrets.found) if key[0] == number]
                return {"secrets": listed, "totalSize": len(listed)}
        elif found := _SECRET.fullmatch(request.path):
            key = (self._site.projects.number(found[1]), found[2])
            if (request.verb, found[3]) == ("POST", "addVersion"):
                return self._add(key, request)
            if (request.verb, found[3]) == ("GET", None):
                self._existing(key)
                return self._shown(key)
            if (request.verb, found[3]) == ("DELETE", None):
                self._existing(key)
                del self._secrets.found[key]
                return {}
        elif (found := _VERSION.fullmatch(request.path)) and (request.verb, found[4]) == ("GET", "access"):
            return self._access((self._site.projects.number(found[1]), found[2]), found[3])
        text = f"{request.verb} {request.path} is not emulated by the offline cloud; only a live project can answer it"
        raise ServiceError("UNIMPLEMENTED", text)

    def _create(self, number: str, request: Request) -> dict[str, Any]:
        self._require("secretmanager.secrets.create")
        given, name = request.json(), request.query.get("secretId", "")
        if not _ID.fullmatch(name):
            raise ServiceError(
                "INVALID_ARGUMENT", f"The provided Secret ID [{name}] does not match the expected format."
            )
        for member in given:
            if member not in _KNOWN:
                text = f"Invalid JSON payload received. Unknown name \"{member}\" at 'secret': Cannot find field."
                raise ServiceError("INVALID_ARGUMENT", text)
        if not given.get("replication"):
            raise ServiceError("INVALID_ARGUMENT", "Secret.replication must be provided.")
        key = (number, name)
        if key in self._secrets.found:
            raise ServiceError("ALREADY_EXISTS", f"Secret [{_name(key)}] already exists.")
        self._secrets.found[key] = Secret(given, self._site.clock.now())
        return self._shown(key)

    def _add(self, key: tuple[str, str], request: Request) -> dict[str, Any]:
        self._require("secretmanager.versions.add")
        secret = self._existing(key)
        payload = request.json().get("payload", {})
        try:
            content = base64.b64decode(str(payload.get("data", "")), validate=True)
        except binascii.Error:
            raise ServiceError("INVALID_ARGUMENT", "Invalid value at 'payload.data': Base64 decoding failed.") from None
        if not content:
            raise ServiceError("INVALID_ARGUMENT", "Secret Payload cannot be empty.")
        if len(content) > _LARGEST:
            raise ServiceError("INVALID_ARGUMENT", f"Secret Payload cannot be larger than {_LARGEST} bytes.")
        if "dataCrc32c" in payload and int(payload["dataCrc32c"]) != _crc32c(content):
            raise ServiceError("INVALID_ARGUMENT", "The checksum of the payload does not match its data.")
        secret.versions.append(content)
        number = len(secret.versions)
        return {
            "name": f"{_name(key)}/versions/{number}",
            "createTime": _time(self._site.clock.now()),
            "state": "ENABLED",
        }

    def _access(self, key: tuple[str, str], version: str) -> dict[str, Any]:
        self._require("secretmanager.versions.access")
        secret = self._existing(key)
        number = len(secret.versions) if version == "latest" else int(version)
        if not 0 < number <= len(secret.versions):
            raise ServiceError("NOT_FOUND", f"Secret Version [{_name(key)}/versions/{version}] not found.")
        content = secret.versions[number - 1]
        payload = {"data": base64.b64encode(content).decode(), "dataCrc32c": str(_crc32c(content))}
        return {"name": f"{_name(key)}/versions/{number}", "payload": payload}

    def _existing(self, key: tuple[str, str]) -> Secret:
        secret = self._secrets.found.get(key)
        if secret is None:
            raise ServiceError("NOT_FOUND", f"Secret [{_name(key)}] not found or has no versions.")
        return secret

    def _shown(self, key: tuple[str, str]) -> dict[str, Any]:
        secret = self._secrets.found[key]
        return {**secret.document, "name": _name(key), "createTime": _time(secret.created), "etag": '"offline"'}

    def _require(self, permission: str) -> None:
        if not self._site.may(permission):
            text = f"Permission '{permission}' denied on resource (or it may not exist)."
            raise ServiceError("PERMISSION_DENIED", text)


def _name(key: tuple[str, str]) -> str:
    return f"projects/{key[0]}/secrets/{key[1]}"


def _crc32c(content: bytes) -> int:
    found = checksum()
    found.update(content)
    return int.from_bytes(found.digest(), "big")


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
