"""The folder in which buckets are folders and objects files, as Cloud Storage FUSE shows them.

A folder that is there only because an object is in it is implied. Any other was made by a process, or by an object
whose name ends with a slash: it is such an object, as with Cloud Storage FUSE
(https://cloud.google.com/storage/docs/cloud-storage-fuse/overview).
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cloudops.engine.folders import remove

from .errors import StorageError
from .names import can_be_file, check_object, is_folder
from .records import Records
from .things import FOLDER, Stamp

#: How often a folder is made that a process removes all the time.
_TRIES = 5


class Seen(NamedTuple):
    """Something in the tree: a file, a folder, or a link that leads to ``target``."""

    stamp: Stamp
    target: str | None = None

    @property
    def is_file(self) -> bool:
        """Whether it has bytes."""
        return self.target is None and self.stamp != FOLDER


class Tree:
    """The files of the objects. Changes are made by one thread at a time; looking needs no such care.

    Args:
        root: the folder of the buckets.
        records: keeps which folders are implied.
    """

    def __init__(self, root: Path, records: Records) -> None:
        self._root, self._records = root, records
        self._implied = records.implied()

    def path(self, bucket: str, name: str) -> Path:
        """Where the object is, or would be."""
        return self._root / bucket / name

    def look(self, bucket: str, name: str) -> Seen | None:
        """What is there of an object of that name; None for nothing that could be one."""
        if not can_be_file(name) or not self._reachable(bucket, name):
            return None
        path = os.path.join(self._root, bucket, name.removesuffix("/"))
        try:
            found = os.lstat(path)
        except OSError:
            return None
        return self._seen(bucket, name, path, found) if stat.S_ISDIR(found.st_mode) == is_folder(name) else None

    def walk(self, bucket: str, prefix: str) -> dict[str, Seen]:
        """All that could be objects whose names begin so."""
        top = prefix.rpartition("/")[0]
        if top and (not can_be_file(top) or not self._reachable(bucket, f"{top}/x")):
            return {}
        found: dict[str, Seen] = {}
        folders = [f"{top}/" if top else ""]
        if top and (itself := self.look(bucket, f"{top}/")) is not None:
            found[f"{top}/"] = itself
        while folders:
            folder = folders.pop()
            for name, path, status in _entries(self._root / bucket, folder, prefix):
                if name.endswith("/"):
                    folders.append(name)
                if name.startswith(prefix) and (seen := self._seen(bucket, name, path, status)) is not None:
                    found[name] = seen
        return found

    def place(self, source: Path, bucket: str, name: str) -> Stamp | None:
        """Move a file, which nobody else has, to where the object is seen; None where something stands in the way."""
        # A time that no write can have by chance: those of the system come in steps of milliseconds.
        now = time.time_ns()
        os.utime(source, ns=(now, now))
        stamp = _stamp(os.lstat(source))
        if (bucket, name) in self._implied:
            self._prune(bucket, name)
        for _ in range(_TRIES):
            self._make_folders(bucket, name)
            try:
                source.replace(self.path(bucket, name))
            except FileNotFoundError:
                continue  # a process has just removed the folder
            except (IsADirectoryError, NotADirectoryError, FileExistsError):
                return None
            return stamp
        return None

    def make_folder(self, bucket: str, name: str) -> bool:
        """Have the folder of an object that ends with a slash be there; False where something stands in the way."""
        self._make_folders(bucket, name)
        path = name.removesuffix("/")
        with contextlib.suppress(OSError):
            self.path(bucket, path).mkdir(exist_ok=True)
            self._imply(bucket, path, None)
            return True
        return False

    def remove(self, bucket: str, name: str) -> None:
        """Take an object away, and the folders that it implied."""
        if is_folder(name):
            path = name.removesuffix("/")
            with contextlib.suppress(OSError):
                self._imply(bucket, path, self.path(bucket, path).lstat().st_ino)
            self._prune(bucket, path)
        else:
            with contextlib.suppress(FileNotFoundError, IsADirectoryError, NotADirectoryError):
                self.path(bucket, name).unlink()
            self._prune(bucket, name.rpartition("/")[0])

    def forget(self, bucket: str) -> None:
        """Take the folder of a bucket away."""
        remove(self._root / bucket)
        self._implied = {key: inode for key, inode in self._implied.items() if key[0] != bucket}

    def blocker(self, bucket: str, name: str) -> str | None:
        """The name of the first file that is where a folder has to be for an object of that name."""
        for parent in parents(name):
            try:
                mode = os.lstat(self.path(bucket, parent)).st_mode
            except OSError:
                return None
            if not stat.S_ISDIR(mode):
                return parent
        return None

    def _seen(self, bucket: str, name: str, path: str, found: os.stat_result) -> Seen | None:
        if stat.S_ISREG(found.st_mode):
            return Seen(_stamp(found))
        if stat.S_ISDIR(found.st_mode):
            implied = self._implied.get((bucket, name.removesuffix("/"))) == found.st_ino
            return None if implied else Seen(FOLDER)
        if stat.S_ISLNK(found.st_mode):
            with contextlib.suppress(OSError):
                return Seen(_stamp(found), os.readlink(path))
        return None

    def _reachable(self, bucket: str, name: str) -> bool:
        """Whether all folders on the way are folders, and not links that lead out of the tree."""
        for parent in parents(name):
            try:
                mode = os.lstat(os.path.join(self._root, bucket, parent)).st_mode
            except OSError:
                return False
            if not stat.S_ISDIR(mode):
                return False
        return True

    def _make_folders(self, bucket: str, name: str) -> None:
        (self._root / bucket).mkdir(exist_ok=True)
        for parent in parents(name):
            path = self.path(bucket, parent)
            # Where it is there, or cannot be, the file shows that when it comes.
            with contextlib.suppress(OSError):
                path.mkdir()
                self._imply(bucket, parent, path.lstat().st_ino)

    def _prune(self, bucket: str, path: str) -> None:
        while path and (bucket, path) in self._implied:
            try:
                self.path(bucket, path).rmdir()
            except FileNotFoundError:
                pass
            except OSError:
                return
            self._imply(bucket, path, None)
            path = path.rpartition("/")[0]

    def _imply(self, bucket: str, path: str, inode: int | None) -> None:
        if inode is not None:
            self._implied[bucket, path] = inode
        elif self._implied.pop((bucket, path), None) is None:
            return
        self._records.imply(bucket, path, inode)


def _entries(root: Path, folder: str, prefix: str) -> Iterator[tuple[str, str, os.stat_result]]:
    """Names (those of folders with a slash), paths and states of what is in a folder, as far as ``prefix`` allows."""
    try:
        entries = os.scandir(root / folder)
    except OSError:
        return
    with entries:
        for entry in entries:
            try:
                is_dir = entry.is_dir(follow_symlinks=False)
                name = f"{folder}{entry.name}/" if is_dir else f"{folder}{entry.name}"
                if not name.startswith(prefix) and not (is_dir and prefix.startswith(name)):
                    continue
                check_object(name)
                yield name, entry.path, entry.stat(follow_symlinks=False)
            except (OSError, StorageError):
                continue  # it went away, or no object can be named so


def parents(name: str) -> Iterator[str]:
    """The paths of the folders on the way to an object."""
    end = name.find("/")
    while 0 < end < len(name) - 1:
        yield name[:end]
        end = name.find("/", end + 1)


def _stamp(found: os.stat_result) -> Stamp:
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ino)
