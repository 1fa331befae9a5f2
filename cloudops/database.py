"""Small SQLite files that several processes use at once (WAL mode)."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

#: Seconds for which another process that has the file is waited for.
_PATIENCE = 30.0
#: What SQLite says where it cannot make its files beside the database's.
_UNWRITABLE = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL)


@contextmanager
def transaction(
    path: Path,
    schema: str,
    unusable: Callable[[Exception], Exception],
    *,
    create: bool = True,
    first: Callable[[sqlite3.Connection], object] = lambda connection: None,
) -> Iterator[sqlite3.Connection]:
    """A connection whose changes are kept when the block ends without an error.

    Args:
        path: the file; its folder is made where it is missing and ``create`` is set.
        schema: one ``create table``.
        unusable: makes the error to raise of what SQLite or the system said.
        create: whether the folder may be made.
        first: fills the table when it is made; others see it filled, or not at all.
    """
    try:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=_PATIENCE)
    except (OSError, sqlite3.Error) as error:
        raise unusable(error) from error
    try:
        _use_wal(connection)
        _make_table(connection, schema, first)
        with connection:
            yield connection
    except sqlite3.Error as error:
        raise unusable(error) from error
    finally:
        connection.close()


def _make_table(connection: sqlite3.Connection, schema: str, first: Callable[[sqlite3.Connection], object]) -> None:
    there = "select count(*) from sqlite_master where type = 'table'"
    if connection.execute(there).fetchone()[0]:
        return
    connection.execute("begin immediate")
    with connection:
        if not connection.execute(there).fetchone()[0]:  # another client may have been faster
            connection.execute(schema)
            first(connection)


def rows(
    path: Path, query: str, values: Sequence[object], unusable: Callable[[Exception], Exception]
) -> list[Any] | None:
    """What a query finds; None where there is no file, or no table in it yet. Writes nothing.

    It works on a full disk and in a folder that cannot be written, too: what is there then is deleted by those who can
    see it.

    Args:
        path: the file.
        query: one ``select``.
        values: for its placeholders.
        unusable: makes the error to raise of what SQLite or the system said.
    """
    if not path.exists():
        return None
    try:
        try:
            return _read(path, query, values)
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return None
            if _code(error) not in _UNWRITABLE:
                raise
            return _read_copy(path, query, values)
    except (OSError, sqlite3.Error) as error:
        raise unusable(error) from error


def _read(path: Path, query: str, values: Sequence[object]) -> list[Any]:
    with contextlib.closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", timeout=_PATIENCE, uri=True)) as known:
        return list(known.execute(query, values))


def _read_copy(path: Path, query: str, values: Sequence[object]) -> list[Any]:
    """Read a copy elsewhere: even a reader of a WAL file needs room beside it for an index."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="cloudops-", dir=memory if memory.is_dir() else None) as folder:
        for suffix in ("", "-wal"):
            with contextlib.suppress(FileNotFoundError):
                shutil.copyfile(f"{path}{suffix}", Path(folder) / f"copy.db{suffix}")
        return _read(Path(folder) / "copy.db", query, values)


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
    return _code(error) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


def busy(error: Exception) -> bool:
    """Whether another process has the file."""
    return _code(error) == sqlite3.SQLITE_BUSY


def _code(error: Exception) -> int:
    """SQLite's code without what it adds to tell cases apart; 0 for another error."""
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
