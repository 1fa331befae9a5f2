"""What is known of buckets and objects, in a SQLite file; the bytes are elsewhere."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from .things import Bucket, Object, Stamp

_SCHEMA = """
create table if not exists buckets (
    name text primary key, project text, created real, updated real, metageneration integer, settings text, policy text
) without rowid;
create table if not exists objects (
    bucket text, name text, generation integer, metageneration integer, size integer, crc32c text, md5 text,
    created real, updated real, stored text, fields text, components integer, visible integer, mtime integer,
    inode integer, stamped integer, settled integer, primary key (bucket, name)
) without rowid;
create table if not exists implied (
    bucket text, path text, inode integer, primary key (bucket, path)
) without rowid;
create table if not exists counters (name text primary key, value integer) without rowid;
"""
#: Sorts behind every name that begins with what is before it.
_LAST = "\U0010ffff" * 2
#: How an object's bytes are said to be where the tree has them, and where there are none.
_IN_TREE, _NOTHING = "", "-"


class Known(NamedTuple):
    """What tells whether an object has changed in the tree."""

    stamp: Stamp
    visible: bool
    settled: bool


class Records:
    """All of it. Whoever uses it has to see to it that no two threads do at once.

    Args:
        path: the file.
        tree: the folder of visible objects.
        apart: the folder of the bytes of others.
    """

    def __init__(self, path: Path, tree: Path, apart: Path) -> None:
        self._tree, self._apart = tree, apart
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        # The file need not outlive the machine's end, only this process's: nothing waits for the disk.
        self._database.execute("pragma journal_mode = wal")
        self._database.execute("pragma synchronous = off")
        self._database.executescript(_SCHEMA)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Have what is written in the block be written as a whole, or not at all where it raises."""
        self._database.execute("begin")
        try:
            yield
        except BaseException:
            self._database.execute("rollback")
            raise
        self._database.execute("commit")

    def bucket(self, name: str) -> Bucket | None:
        """One, if it is there."""
        row = self._database.execute("select * from buckets where name = ?", (name,)).fetchone()
        return None if row is None else _bucket(row)

    def buckets(self) -> list[Bucket]:
        """All, by name."""
        return [_bucket(row) for row in self._database.execute("select * from buckets order by name")]

    def save_bucket(self, bucket: Bucket) -> None:
        """Write one down, over what was known of it."""
        texts = (json.dumps(dict(bucket.settings)), json.dumps(dict(bucket.policy)))
        values = (bucket.name, bucket.project, bucket.created, bucket.updated, bucket.metageneration, *texts)
        self._database.execute("insert or replace into buckets values (?, ?, ?, ?, ?, ?, ?)", values)

    def drop_bucket(self, name: str) -> None:
        """Forget one, with what was implied of its folders."""
        self._database.execute("delete from buckets where name = ?", (name,))
        self._database.execute("delete from implied where bucket = ?", (name,))

    def object(self, bucket: str, name: str) -> Object | None:
        """One, if it is there."""
        query = "select * from objects where bucket = ? and name = ?"
        row = self._database.execute(query, (bucket, name)).fetchone()
        return None if row is None else self._object(row)

    def objects(self, bucket: str, prefix: str) -> list[Object]:
        """Those whose names begin so, by name."""
        query = "select * from objects where bucket = ? and name >= ? and name < ? order by name"
        return [self._object(row) for row in self._database.execute(query, (bucket, prefix, prefix + _LAST))]

    def known(self, bucket: str, prefix: str) -> dict[str, Known]:
        """By name, what tells changes of those whose names begin so."""
        query = """select name, stamped, mtime, inode, visible, settled from objects
            where bucket = ? and name >= ? and name < ?"""
        rows = self._database.execute(query, (bucket, prefix, prefix + _LAST))
        return {name: Known(Stamp(*stamp), bool(visible), bool(settled)) for name, *stamp, visible, settled in rows}

    def save_object(self, found: Object) -> None:
        """Write one down, over what was known of it."""
        values = (
            *(found.bucket, found.name, found.generation, found.metageneration, found.size, found.crc32c, found.md5),
            *(found.created, found.updated, self._stored(found), json.dumps(dict(found.fields)), found.components),
            *(found.visible, found.stamp.mtime, found.stamp.inode, found.stamp.size, found.settled),
        )
        self._database.execute(f"insert or replace into objects values ({', '.join('?' * len(values))})", values)

    def drop_object(self, bucket: str, name: str) -> None:
        """Forget one."""
        self._database.execute("delete from objects where bucket = ? and name = ?", (bucket, name))

    def next_generation(self, at_least: int) -> int:
        """A number that is larger than all before it, also those before a restart."""
        query = """insert into counters values ('generation', ?1)
            on conflict (name) do update set value = max(value + 1, ?1) returning value"""
        return int(self._database.execute(query, (at_least,)).fetchone()[0])

    def implied(self) -> dict[tuple[str, str], int]:
        """The folders that are there only because objects are in them: bucket and path, and the inode."""
        rows = self._database.execute("select bucket, path, inode from implied")
        return {(bucket, path): inode for bucket, path, inode in rows}

    def imply(self, bucket: str, path: str, inode: int | None) -> None:
        """Say of a folder that it is implied; with no ``inode``, that it is not."""
        if inode is None:
            self._database.execute("delete from implied where bucket = ? and path = ?", (bucket, path))
        else:
            self._database.execute("insert or replace into implied values (?, ?, ?)", (bucket, path, inode))

    def _stored(self, found: Object) -> str:
        if found.path == self.nothing:
            return _NOTHING
        return found.path.name if found.path.parent == self._apart else _IN_TREE

    @property
    def nothing(self) -> Path:
        """An empty file: the bytes of objects that are folders or links in the tree."""
        return self._apart / _NOTHING

    def _object(self, row: tuple[Any, ...]) -> Object:
        bucket, name, generation, metageneration, size, crc32c, md5, created, updated, stored, fields, *rest = row
        components, visible, mtime, inode, stamped, settled = rest
        return Object(
            bucket=bucket,
            name=name,
            generation=generation,
            metageneration=metageneration,
            size=size,
            crc32c=crc32c,
            md5=md5,
            created=created,
            updated=updated,
            path=self._apart / stored if stored else self._tree / bucket / name,
            fields=json.loads(fields),
            components=components,
            visible=bool(visible),
            stamp=Stamp(stamped, mtime, inode),
            settled=bool(settled),
        )


def _bucket(row: tuple[Any, ...]) -> Bucket:
    name, project, created, updated, metageneration, settings, policy = row
    return Bucket(name, project, created, updated, metageneration, json.loads(settings), json.loads(policy))
