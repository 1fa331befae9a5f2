"""The journal of intents under ``.cloudops/``: what this machine set out to create, and what came of it.

It is a record and a cache, never the truth: names are deterministic, so losing it loses nothing. An intent is
written before the call that creates, and its handle after; a crash in between leaves an intent without a handle,
which ``cloudops jobs`` and a repeated call resolve by asking the provider for the name.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import AbstractContextManager
from pathlib import Path

from .database import busy, damaged, transaction
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
        with self._transaction() as connection:
            connection.execute(
                "insert or ignore into intents values (?, ?, ?, ?, ?, ?, null)",
                (name, provider, scope, step, intent, time.time()),
            )

    def created(self, name: str, *, provider: str, scope: str, uri: str) -> None:
        """Record the handle that came of an intent."""
        with self._transaction() as connection:
            connection.execute(
                "update intents set uri = ? where name = ? and provider = ? and scope = ?", (uri, name, provider, scope)
            )

    def unresolved(self) -> list[str]:
        """The names of intents without a handle: a crash, or a call that failed, came between."""
        if not self.path.exists():
            return []
        with self._transaction() as connection:
            return [row[0] for row in connection.execute("select name from intents where uri is null order by created")]

    def _transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        return transaction(self.path, _SCHEMA, lambda error: _unusable(self.path, error))


def _unusable(path: Path, error: Exception) -> CloudopsError:
    if damaged(error):
        return CloudopsError(f"{path} is damaged ({error})", hint="delete it: it is only a journal, nothing is lost")
    if busy(error):
        return CloudopsError(f"{path} is in use by another process: {error}", hint="run again when that has ended")
    return CloudopsError(f"{path} cannot be written: {error}", hint="free some disk space or fix its permissions")
