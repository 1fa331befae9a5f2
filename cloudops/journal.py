"""The journal of intents under ``.cloudops/``: what this machine set out to create, and what came of it.

It is a record and a cache, never the truth: names are deterministic, so losing it loses nothing. An intent is
written before the call that creates, and its handle after; a crash in between leaves an intent without a handle,
which ``cloudops jobs`` and a repeated call resolve by asking the provider for the name.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .database import busy, damaged, rows, transaction
from .errors import CloudopsError

_SCHEMA = """
create table intents (
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
        values = (name, provider, scope, step, intent, time.time())
        self._write("insert or ignore into intents values (?, ?, ?, ?, ?, ?, null)", values)

    def created(self, name: str, *, provider: str, scope: str, uri: str) -> None:
        """Record the handle that came of an intent."""
        where = "where name = ? and provider = ? and scope = ?"
        self._write(f"update intents set uri = ? {where}", (uri, name, provider, scope))

    def unresolved(self) -> list[str]:
        """The names of intents without a handle: a crash, or a call that failed, came between."""
        query = "select name from intents where uri is null order by created"
        return [row[0] for row in rows(self.path, query, (), self._unusable) or []]

    def _write(self, statement: str, values: Sequence[object]) -> None:
        """Write; a damaged file is put aside for a new one, since a mere record must not keep work from being done."""
        try:
            self._apply(statement, values)
        except CloudopsError as error:
            if not _of_damage(error):
                raise
            self._write_anew(statement, values)

    def _write_anew(self, statement: str, values: Sequence[object]) -> None:
        from .engine.files import locked

        with locked(self.path.with_name("journal.lock")):
            try:
                self._apply(statement, values)  # another client may have been here first
            except CloudopsError as error:
                if not _of_damage(error):
                    raise
                self._put_aside()
                self._apply(statement, values)

    def _apply(self, statement: str, values: Sequence[object]) -> None:
        with transaction(self.path, _SCHEMA, self._unusable) as connection:
            connection.execute(statement, values)

    def _put_aside(self) -> None:
        with suppress(FileNotFoundError):
            self.path.replace(self.path.with_name("journal.db.damaged"))
        for suffix in ("-wal", "-shm"):
            self.path.with_name(f"journal.db{suffix}").unlink(missing_ok=True)

    def _unusable(self, error: Exception) -> CloudopsError:
        if busy(error):
            hint = "run again when that has ended"
            return CloudopsError(f"{self.path} is in use by another process: {error}", hint=hint)
        hint = "free some disk space or fix its permissions"
        return CloudopsError(f"{self.path} cannot be written: {error}", hint=hint)


def _of_damage(error: CloudopsError) -> bool:
    return isinstance(error.__cause__, sqlite3.Error) and damaged(error.__cause__)
