"""Where the bytes of objects are: in the tree, or apart from it where no file can have the object's name."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from . import digests as sums
from .names import can_be_file, is_folder
from .records import Records
from .things import FOLDER, Object, Stamp
from .tree import Tree, parents


class Shelf:
    """All bytes. Changes are made by one thread at a time; files to come can be written by many.

    Args:
        records: are changed where bytes are moved.
        files: the tree.
        apart: the folder of the bytes that are not in the tree.
        incoming: the folder of files that are still written.
    """

    def __init__(self, records: Records, files: Tree, apart: Path, incoming: Path) -> None:
        self._records, self._files, self._apart, self._incoming = records, files, apart, incoming

    @contextmanager
    def receiving(self) -> Iterator[Path]:
        """A place for a file that is to be an object; what is there afterwards is removed."""
        path = self._incoming / uuid.uuid4().hex
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def store(self, bucket: str, name: str, source: Path, size: int) -> tuple[Path, Stamp | None]:
        """Move a file to where an object's bytes are; returns that, and its stamp where it is seen in the tree."""
        stamp = None
        if can_be_file(name) and self._files.blocker(bucket, name) is None:
            if not is_folder(name):
                stamp = self._files.place(source, bucket, name)
                if stamp is not None:
                    return self._files.path(bucket, name), stamp
            elif self._files.make_folder(bucket, name):
                stamp = FOLDER
        if not size:
            return self._records.nothing, stamp
        path = self._apart / uuid.uuid4().hex
        source.replace(path)
        return path, stamp

    def hide(self, there: Object) -> None:
        """Move an object's bytes out of the tree, where a folder is to be in its place.

        Nothing happens where a process is faster: then it is no longer the file that is known.
        """
        path = self._apart / uuid.uuid4().hex
        try:
            shutil.copyfile(there.path, path, follow_symlinks=False)  # a process may go on writing to the file
            there.path.unlink()
        except OSError:
            path.unlink(missing_ok=True)
            return
        found = sums.of_file(path)
        if (found.size, found.crc32c) != (there.size, there.crc32c):
            there = replace(there, size=found.size, crc32c=found.crc32c, md5=found.md5, components=None)
        self._records.save_object(replace(there, path=path, visible=False, stamp=FOLDER, settled=True))

    def show_hidden(self, bucket: str, name: str) -> None:
        """Have objects be seen again that the folders of one had hidden, which is gone."""
        for parent in parents(f"{name}x" if is_folder(name) else name):
            hidden = self._records.object(bucket, parent)
            if hidden is not None and not hidden.visible and self._files.blocker(bucket, parent) is None:
                self._show(hidden)

    def _show(self, hidden: Object) -> None:
        with self.receiving() as path:
            source = hidden.path
            if source == self._records.nothing:
                source = path
                source.touch()
            stamp = self._files.place(source, hidden.bucket, hidden.name)
        if stamp is not None:
            path = self._files.path(hidden.bucket, hidden.name)
            self._records.save_object(replace(hidden, path=path, visible=True, stamp=stamp))

    def drop(self, found: Object | None) -> None:
        """Remove the bytes that an object had apart from the tree."""
        if found is not None and found.path.parent == self._apart and found.path != self._records.nothing:
            found.path.unlink(missing_ok=True)
