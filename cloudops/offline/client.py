"""The client of the control API; the standard library alone."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cloudops.errors import CloudopsError, ConfigError, NotFound

from .emulator import Environment
from .environment import ADDRESS, RECORD
from .record import Record, background

_PATIENCE = 120.0


class Client:
    """Speaks to a server.

    Args:
        record: how it is reached.
    """

    def __init__(self, record: Record) -> None:
        self.record = record

    def get(self, what: str) -> Any:
        """What is known of ``what``. Raises as :meth:`post`."""
        return self._ask("GET", what, None)

    def post(self, what: str, **values: Any) -> Any:
        """Have something done.

        Raises:
            ConfigError: the server refuses it; the text says why.
            CloudopsError: the server does not answer.
        """
        return self._ask("POST", what, values)

    def environment(self) -> Environment:
        """What a client's environment needs."""
        found = self.get("environment")
        return Environment(found["variables"], tuple(found["unset"]), found["kept"])

    def _ask(self, method: str, what: str, values: Mapping[str, Any] | None) -> Any:
        parts = urlsplit(self.record.url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=_PATIENCE)
        headers = {"Authorization": f"Bearer {self.record.token}"}
        try:
            connection.request(method, f"/cloudops/{what}", json.dumps(values or {}), headers)
            response = connection.getresponse()
            status, body = response.status, response.read()
        except (OSError, HTTPException) as error:
            raise CloudopsError(
                f"the offline cloud at {self.record.url} does not answer: {error or type(error).__name__}",
                hint="start another one",
            ) from error
        finally:
            connection.close()
        return self._understood(status, body)

    def _understood(self, status: int, body: bytes) -> Any:
        try:
            value = json.loads(body)
        except ValueError:
            text = " ".join(body[:300].decode(errors="replace").split())
            raise CloudopsError(f"the offline cloud at {self.record.url} answered {status}: {text}") from None
        if status == 200:
            return value
        raise ConfigError(value["error"]["message"], hint=value["error"]["hint"])


def of_environment() -> Client | None:
    """The server that this process's environment leads to; None where it leads to none.

    Raises:
        NotFound: that server has ended.
    """
    address = os.environ.get(ADDRESS)
    if not address:
        return None
    found = Record.read(Path(os.environ.get(RECORD, "")))
    if found is None or found.url != address:
        raise NotFound(
            f"the offline cloud at {address} has ended; this environment still leads to it ({ADDRESS})",
            hint='`cloudops offline start` and `eval "$(cloudops offline env)"` lead this shell to others',
        )
    return Client(found)


def of_background() -> Client | None:
    """This user's server in the background; None where there is none."""
    found = Record.read(background())
    return None if found is None else Client(found)


def found() -> Client:
    """The server of the environment, else the one in the background.

    Raises:
        NotFound: there is neither.
    """
    return _existing(of_environment() or of_background())


def to_lead_to() -> Client:
    """The server that a shell is to be led to: as :func:`found`, but one that has ended stands in nobody's way.

    Raises:
        NotFound: there is none.
    """
    try:
        return found()
    except NotFound:
        return _existing(of_background())


def _existing(client: Client | None) -> Client:
    if client is None:
        raise NotFound(
            "no offline cloud runs",
            hint="`cloudops offline start` starts one, `cloudops offline run -- COMMAND` one for a command",
        )
    return client
