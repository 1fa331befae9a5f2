"""Small SQLite files that several processes use at once (WAL mode)."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

#: Seconds for which another process that has the file is waited for.
_PATIENCE = 30.0


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
        connection = sqlite3.connect(path, timeout=_PATIENCE)
    except (OSError, sqlite3.Error) as error:
        raise unusable(error) from error
    try:
        _use_wal(connection)
        connection.execute(schema)
        with connection:
            yield connection
    except sqlite3.Error as error:
        raise unusable(error) from error
    finally:
        connection.close()


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL mode. Where several clients meet a new file, SQLite refuses all but one of them at once."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("pragma journal_mode = wal")
            return
        except sqlite3.OperationalError as error:
            # Its own timeout does not count for a change of the journal mode, which needs the file for itself.
            if not busy(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.005)


def damaged(error: Exception) -> bool:
    """Whether the file itself is broken, rather than locked or on a full disk."""
    return getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def busy(error: Exception) -> bool:
    """Whether another process has the file."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
