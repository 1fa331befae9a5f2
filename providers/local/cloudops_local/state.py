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

from cloudops.database import busy, damaged, rows, transaction
from cloudops.errors import ProviderError, Unavailable

_SCHEMA = """
create table if not exists items (
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
    """The index in one file; nothing is written until something is added.

    Args:
        path: the file.
        lost: what the folders beside it tell of jobs and endpoints; asked for where the file is gone, so that nothing
            goes on running which nobody can see.
    """

    def __init__(self, path: Path, lost: Callable[[], Iterable[Item]] = tuple) -> None:
        self.path = path
        self._lost = lost

    def add(self, kind: str, name: str, project: str, step: str) -> None:
        """Add a row; one that is there stays as it is."""
        self._insert([*self._missing(), Item(kind, name, project, step, time.time())])

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
        self._restore()
        if self.path.exists():
            with self._transaction() as connection:
                connection.execute("delete from items where kind = ? and name = ?", (kind, name))

    def _select(self, where: str, values: tuple[str, ...]) -> Iterator[Item]:
        self._restore()
        query = f"select kind, name, project, step, created from items {where}"
        return iter([Item(*row) for row in rows(self.path, query, values, lambda error: _unusable(self.path, error))])

    def _restore(self) -> None:
        if found := self._missing():
            self._insert(found)

    def _missing(self) -> Sequence[Item]:
        return [] if self.path.exists() else list(self._lost())

    def _insert(self, items: Sequence[Item]) -> None:
        found = [(item.kind, item.name, item.project, item.step, item.created) for item in items]
        with self._transaction(create=True) as connection:
            connection.executemany("insert or ignore into items values (?, ?, ?, ?, ?)", found)

    def _transaction(self, *, create: bool = False) -> AbstractContextManager[sqlite3.Connection]:
        return transaction(self.path, _SCHEMA, lambda error: _unusable(self.path, error), create=create)


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
