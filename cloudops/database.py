"""Small SQLite files that several processes use at once (WAL mode)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def transaction(
    path: Path, schema: str, unusable: Callable[[Exception], Exception], *, create: bool = True
) -> Iterator[sqlite3.Connection]:
    """A connection whose changes are kept when the block ends without an error.

    Args:
        path: the file; its folder is made where it is missing and ``create`` is set.
        schema: one ``create table if not exists``.
        unusable: makes the error to raise of what SQLite or the system said.
        create: whether the folder may be made.
    """
    try:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=30)
    except (OSError, sqlite3.Error) as error:
        raise unusable(error) from error
    try:
        connection.execute("pragma journal_mode = wal")
        connection.execute(schema)
        with connection:
            yield connection
    except sqlite3.Error as error:
        raise unusable(error) from error
    finally:
        connection.close()


def damaged(error: Exception) -> bool:
    """Whether the file itself is broken, rather than locked or on a full disk."""
    return getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)
