"""The emulated Cloud Storage on a port of this machine, and clients of it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cloudops_vertex.emulator.storage import Buckets, StorageApi
from google.auth.credentials import Credentials

from cloudops.offline.clock import Clock

TOKEN = "a-token"
NUMBER = "123456789012"


class Server:
    """One of them."""

    def __init__(self, folder: Path) -> None:
        from werkzeug.serving import WSGIRequestHandler, make_server

        class Handler(WSGIRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_request(self, *args: Any) -> None:
                """Say nothing."""

        self.buckets = Buckets(folder, Clock())
        self.api = StorageApi(self.buckets, lambda project: NUMBER if project == "demo" else project, _principal)
        self._server = make_server("127.0.0.1", 0, self.api, threaded=True, request_handler=Handler)
        self.port = self._server.server_port
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.buckets.close()

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | str | Mapping[str, Any] = b"",
        headers: Mapping[str, str] | None = None,
        *,
        token: str | None = TOKEN,
    ) -> Reply:
        """Make one request, exactly so."""
        data = json.dumps(body) if isinstance(body, Mapping) else body
        sent = {"Authorization": f"Bearer {token}"} if token else {}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, data, {**sent, **(headers or {})})
            response = connection.getresponse()
            return Reply(response.status, dict(response.headers), response.read())
        finally:
            connection.close()


class Reply:
    """What came back; header names are in lower case."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.body = status, body
        self.headers = {name.lower(): value for name, value in headers.items()}

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str, str]:
        """Status, reason and text of an error in JSON, which has to have the service's shape."""
        error = self.json["error"]
        assert error["code"] == self.status
        assert error["errors"][0]["message"] == error["message"]
        return self.status, error["errors"][0]["reason"], error["message"]


@contextmanager
def serving(folder: Path) -> Iterator[Server]:
    server = Server(folder)
    try:
        yield server
    finally:
        server.close()


def client_of(server: Server, token: str = TOKEN) -> Any:
    from google.cloud import storage  # type: ignore[attr-defined]

    options = {"api_endpoint": server.url}
    return storage.Client(project="demo", credentials=Static(token), client_options=options)


class Static(Credentials):  # type: ignore[misc,no-any-unimported]
    """A token that does not become better when it is asked for again."""

    def __init__(self, token: str) -> None:
        super().__init__()
        self.token = token

    def refresh(self, request: Any) -> None:
        """Stay the same."""


def _principal(environ: Mapping[str, Any]) -> str | None:
    return "somebody@example.com" if environ.get("HTTP_AUTHORIZATION") == f"Bearer {TOKEN}" else None
