"""The metadata server, which tells a process inside the cloud whose account it has, and in which project it is.

Clients look for it at ``metadata.google.internal`` or ``169.254.169.254``, many of them past any proxy; they can be
told another address by the variables that :meth:`MetadataListener.variables` gives, and that address is a listener on
this machine. Every job can have one of its own, with its own account.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from .credentials import EMAIL, PROJECT
from .tokens import CLOUD, LIFETIME, Tokens
from .web import Request, answer

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from .projects import Projects

_FLAVOR = ("Metadata-Flavor", "Google")
_HEADERS = (_FLAVOR, ("Server", "Metadata Server for VM"), ("X-XSS-Protection", "0"), ("X-Frame-Options", "SAMEORIGIN"))
_ROOT = "/computeMetadata/v1"


@dataclass(frozen=True, slots=True)
class Identity:
    """What the metadata server says of a machine.

    Args:
        project: by its id.
        email: of its service account.
        region: such as ``us-central1``.
        scopes: of its tokens.
        name: of the machine.
    """

    project: str = PROJECT
    email: str = EMAIL
    region: str = "us-central1"
    scopes: tuple[str, ...] = (CLOUD,)
    name: str = "offline"


class MetadataServer:
    """The server, as a WSGI application.

    Args:
        tokens: that it gives out.
        projects: by which ids become numbers.
        identity: of the machine.
    """

    def __init__(self, tokens: Tokens, projects: Projects, identity: Identity | None = None) -> None:
        self._tokens, self._projects, self._identity = tokens, projects, identity or Identity()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        request = Request(environ)
        if request.verb != "GET":
            return answer(start_response, 405, "Method Not Allowed", headers=_HEADERS)
        if request.path in ("", "/"):
            return answer(start_response, 200, "computeMetadata/\n", "application/text", _HEADERS)
        if request.header("Metadata-Flavor") != "Google":
            return answer(start_response, 403, "Missing Metadata-Flavor:Google header.", headers=_HEADERS)
        if request.header("X-Forwarded-For"):
            return answer(start_response, 403, "X-Forwarded-For header is not allowed.", headers=_HEADERS)
        return self._found(request, start_response)

    def _found(self, request: Request, start_response: StartResponse) -> list[bytes]:
        if not f"{request.path}/".startswith(f"{_ROOT}/"):
            return answer(start_response, 404, "Not Found", headers=_HEADERS)
        names = [part for part in request.path[len(_ROOT) :].split("/") if part]
        if names[:2] == ["instance", "service-accounts"] and len(names) == 4 and names[2] in self._accounts():
            if names[3] == "token":
                return answer(start_response, 200, self._token(request), "application/json", _HEADERS)
            if names[3] == "identity":
                text = "ID tokens are not emulated by the offline cloud."
                return answer(start_response, 501, text, headers=_HEADERS)
        value: Any = self._tree()
        for name in names:
            if not isinstance(value, Mapping) or name not in value:
                return answer(start_response, 404, "Not Found", headers=_HEADERS)
            value = value[name]
        if request.query.get("wait_for_change") == "true":
            text = "wait_for_change is not emulated by the offline cloud."
            return answer(start_response, 501, text, headers=_HEADERS)
        if isinstance(value, Mapping) and not request.path.endswith("/"):
            place = ("Location", f"{request.path}/")
            return answer(start_response, 301, "", headers=[*_HEADERS, place])
        return _shown(value, request.query, start_response)

    def _token(self, request: Request) -> dict[str, Any]:
        asked = [one for one in request.query.get("scopes", "").split(",") if one]
        made = self._tokens.issue(self._identity.email, scopes=asked or self._identity.scopes)
        return {"access_token": made.text, "expires_in": LIFETIME - 1, "token_type": "Bearer"}

    def _accounts(self) -> tuple[str, str]:
        return "default", self._identity.email

    def _tree(self) -> dict[str, Any]:
        """All that can be asked for, but for tokens."""
        here = self._identity
        number = self._projects.number(here.project)
        account = {"aliases": ["default"], "email": here.email, "scopes": list(here.scopes)}
        instance = {
            "attributes": {},
            "hostname": f"{here.name}.{here.region}-a.c.{here.project}.internal",
            "id": int(number),
            "name": here.name,
            "region": f"projects/{number}/regions/{here.region}",
            "service-accounts": dict.fromkeys(self._accounts(), account),
            "zone": f"projects/{number}/zones/{here.region}-a",
        }
        project = {"attributes": {}, "numeric-project-id": int(number), "project-id": here.project}
        return {"instance": instance, "project": project, "universe": {"universe-domain": "googleapis.com"}}


class MetadataListener:
    """A server on this machine's loopback address for a WSGI application, until it is closed.

    Args:
        application: such as a :class:`MetadataServer`.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.set_app(application)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="metadata", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_port}"

    def variables(self) -> dict[str, str]:
        """What has a process find it; none of the other variables of credentials may be set in its environment."""
        return {
            "GCE_METADATA_HOST": self.address,
            "GCE_METADATA_ROOT": self.address,
            "GCE_METADATA_IP": self.address,
            "GCE_METADATA_MTLS_MODE": "none",
        }

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingMixIn, WSGIServer):
    """A server without a look-up of its own name, which could take long."""

    allow_reuse_address = False
    daemon_threads, block_on_close = True, False

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]
        self.setup_environ()


class _Handler(WSGIRequestHandler):
    timeout = 10

    def address_string(self) -> str:
        """Not looked up."""
        return str(self.client_address[0])

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged."""


def _shown(value: Any, query: Mapping[str, str], start_response: StartResponse) -> list[bytes]:
    recursive, kind = query.get("recursive", "").lower() == "true", query.get("alt", "")
    if isinstance(value, Mapping) and not recursive:
        names = (f"{name}/" if isinstance(one, Mapping) else name for name, one in value.items())
        text = "".join(f"{name}\n" for name in names)
        return answer(start_response, 200, text, "application/text", _HEADERS)
    if kind == "json" or (isinstance(value, Mapping) and kind != "text"):
        text = json.dumps(_camel(value), separators=(",", ":"))
        return answer(start_response, 200, text, "application/json", _HEADERS)
    lines = _flat(value, "") if isinstance(value, Mapping) else value if isinstance(value, list) else [value]
    return answer(start_response, 200, "\n".join(map(str, lines)), "application/text", _HEADERS)


def _camel(value: Any) -> Any:
    """Names as JSON has them: ``serviceAccounts``; those of accounts and attributes stay."""
    if not isinstance(value, Mapping):
        return value
    return {
        re.sub(r"-([a-z])", lambda found: found[1].upper(), name) if "@" not in name else name: _camel(one)
        for name, one in value.items()
    }


def _flat(value: Mapping[str, Any], before: str) -> list[str]:
    lines: list[str] = []
    for name, one in value.items():
        if isinstance(one, Mapping):
            lines += _flat(one, f"{before}{name}/")
        else:
            lines += [f"{before}{name} {each}" for each in (one if isinstance(one, list) else [one])]
    return lines
