"""A transport of google.auth that ends at WSGI applications, by the host."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import google.auth.transport
from cloudops_vertex.emulator.iam_credentials import IamCredentials
from cloudops_vertex.emulator.metadata_server import MetadataServer
from cloudops_vertex.emulator.resource_manager import ProjectsV1
from cloudops_vertex.emulator.site import Site
from cloudops_vertex.emulator.token_api import TokenApi


class Response(google.auth.transport.Response):
    """What an application answered."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self._status, self._headers, self._data = status, headers, data

    @property
    def status(self) -> int:
        return self._status

    @property
    def headers(self) -> Mapping[str, str]:
        return self._headers

    @property
    def data(self) -> bytes:
        return self._data


class Transport(google.auth.transport.Request):
    """Sends requests to the applications of a site."""

    def __init__(self, site: Site) -> None:
        tokens = TokenApi(site.tokens)
        metadata = MetadataServer(site.tokens, site.projects)
        self.applications: dict[str, Any] = {
            "oauth2.googleapis.com": tokens,
            "sts.googleapis.com": tokens,
            "iamcredentials.googleapis.com": IamCredentials(site.tokens, may=site.may),
            "cloudresourcemanager.googleapis.com": ProjectsV1(site),
            "metadata.google.internal": metadata,
            "169.254.169.254": metadata,
        }

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout: Any = None,
        **kwargs: Any,
    ) -> Response:
        parts = urlsplit(url)
        given = {name.lower(): value for name, value in (headers or {}).items()}
        content = body.encode() if isinstance(body, str) else body or b""
        environ = {
            "REQUEST_METHOD": method,
            "HTTP_HOST": parts.netloc,
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "CONTENT_LENGTH": str(len(content)),
            "CONTENT_TYPE": given.get("content-type", ""),
            "wsgi.input": io.BytesIO(content),
            **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in given.items()},
        }
        seen: dict[str, Any] = {}

        def start(status: str, answered: list[tuple[str, str]]) -> None:
            seen.update(status=int(status.split()[0]), headers={name.lower(): value for name, value in answered})

        data = b"".join(self.applications[parts.hostname or ""](environ, start))
        return Response(seen["status"], seen["headers"], data)
