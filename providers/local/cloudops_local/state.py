"""The index of jobs and endpoints: SQLite in WAL mode, so that several clients at once are safe.

Where a job or an endpoint stands is the engine's to tell; the index says what exists and what it was made for.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudops.database import busy, damaged, rows, transaction
from cloudops.errors import ProviderError, Unavailable

_SCHEMA = """
create table items (
    kind text not null, name text not null, project text not null, step text not null,
    created real not null, primary key (kind, name)
)
"""


@dataclass(frozen=True)
class Item:
    """One row: ``kind`` is ``jobs`` or ``endpoints``, ``created`` epoch seconds."""

    kind: str
    name: str
    project: str
    step: str
    created: float


class Index:
    """The index in one file; nothing is written until there is something to write.

    Args:
        path: the file.
        lost: what the folders beside it tell of jobs and endpoints; asked for where the file, or the table in it, is
            not there, so that nothing goes on running which nobody can see.
    """

    def __init__(self, path: Path, lost: Callable[[], Iterable[Item]] = tuple) -> None:
        self.path = path
        self._lost = lost

    def add(self, kind: str, name: str, project: str, step: str) -> None:
        """Add a row; one that is there stays as it is."""
        with self._transaction(create=True) as connection:
            _insert(connection, [Item(kind, name, project, step, time.time())])

    def get(self, kind: str, name: str) -> Item | None:
        """The row, or None."""
        found = list(self._select("where kind = ? and name = ?", (kind, name)))
        return found[0] if found else None

    def list(self, kind: str, project: str | None) -> Iterator[Item]:
        """The rows of a kind, newest first; all projects where ``project`` is None."""
        if project is None:
            return self._select("where kind = ? order by created desc, name", (kind,))
        return self._select("where kind = ? and project = ? order by created desc, name", (kind, project))

    def remove(self, kind: str, name: str) -> None:
        """Remove the row; silent when it is gone."""
        if self.get(kind, name) is not None:
            with self._transaction() as connection:
                connection.execute("delete from items where kind = ? and name = ?", (kind, name))

    def _select(self, where: str, values: tuple[str, ...]) -> Iterator[Item]:
        query = f"select kind, name, project, step, created from items {where}"
        found = self._rows(query, values)
        if found is None and any(True for _ in self._lost()):
            with self._transaction(create=True):  # makes the table, and fills it with what was lost
                pass
            found = self._rows(query, values)
        return iter([Item(*row) for row in found or []])

    def _rows(self, query: str, values: tuple[str, ...]) -> Sequence[Any] | None:
        return rows(self.path, query, values, lambda error: _unusable(self.path, error))

    def _transaction(self, *, create: bool = False) -> AbstractContextManager[sqlite3.Connection]:
        return transaction(
            self.path,
            _SCHEMA,
            lambda error: _unusable(self.path, error),
            create=create,
            first=lambda connection: _insert(connection, self._lost()),
        )


def _insert(connection: sqlite3.Connection, items: Iterable[Item]) -> None:
    values = [(item.kind, item.name, item.project, item.step, item.created) for item in items]
    connection.executemany("insert or ignore into items values (?, ?, ?, ?, ?)", values)


def _unusable(path: Path, error: Exception) -> ProviderError:
    if damaged(error):
        return ProviderError(
            f"{path} is damaged: {error}",
            provider="local",
            hint="move it away: it is made again from the folders of the jobs and endpoints beside it",
        )
    if busy(error):
        return Unavailable(f"{path} is in use by another process: {error}", provider="local")
    return ProviderError(
        f"{path} cannot be used: {error}", provider="local", hint="free some disk space or fix its permissions"
    )
