"""The journal of intents under ``.cloudops/``: what this machine set out to create, and what came of it.

It is a record and a cache, never the truth: names are deterministic, so losing it loses nothing. An intent is
written before the call that creates, and its handle after; a crash in between leaves an intent without a handle,
which ``cloudops jobs`` and a repeated call resolve by asking the provider for the name.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import CloudopsError

_SCHEMA = """
create table if not exists intents (
    name text not null, provider text not null, scope text not null, step text not null,
    intent text not null, created real not null, uri text,
    primary key (name, provider, scope)
)
"""


class Journal:
    """The journal of one project folder; safe for several processes at once."""

    def __init__(self, root: Path) -> None:
        self.path = root / ".cloudops" / "journal.db"

    def intend(self, name: str, *, provider: str, scope: str, step: str, intent: str) -> None:
        """Record that ``name`` is about to be created; a repeated intent keeps its first time."""
        with self._connection() as connection:
            connection.execute(
                "insert or ignore into intents values (?, ?, ?, ?, ?, ?, null)",
                (name, provider, scope, step, intent, time.time()),
            )

    def created(self, name: str, *, provider: str, scope: str, uri: str) -> None:
        """Record the handle that came of an intent."""
        with self._connection() as connection:
            connection.execute(
                "update intents set uri = ? where name = ? and provider = ? and scope = ?", (uri, name, provider, scope)
            )

    def unresolved(self) -> list[str]:
        """The names of intents without a handle: a crash, or a call that failed, came between."""
        if not self.path.exists():
            return []
        with self._connection() as connection:
            return [row[0] for row in connection.execute("select name from intents where uri is null order by created")]

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=30)
        except (OSError, sqlite3.Error) as error:
            raise _unusable(self.path, error) from error
        try:
            connection.execute("pragma journal_mode = wal")
            connection.execute(_SCHEMA)
            with connection:
                yield connection
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from error
        finally:
            connection.close()


def _unusable(path: Path, error: Exception) -> CloudopsError:
    if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return CloudopsError(f"{path} is damaged ({error})", hint="delete it: it is only a journal, nothing is lost")
    return CloudopsError(f"{path} cannot be written: {error}", hint="free some disk space or fix its permissions")
