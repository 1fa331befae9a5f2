"""What is known of objects is what is there: records, bytes, and what processes have made of the files."""

from __future__ import annotations

import mimetypes
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudops.engine.folders import empty, remove

from . import digests as sums
from .digests import Digests
from .errors import no_bucket
from .leases import being_written
from .names import can_be_file
from .records import Known, Records
from .shelf import Shelf
from .things import FOLDER, Bucket, Object
from .tree import Seen, Tree

if TYPE_CHECKING:
    from cloudops.offline.clock import Clock

#: How often it is tried to see an object at rest that some process writes to all the time.
TRIES = 5
#: So long after its last change, in nanoseconds, the time of a file's next change is another: systems count in ticks.
_TICK = 50_000_000
#: As Cloud Storage FUSE writes down where a link leads.
_LINK = "gcsfuse_symlink_target"

Fields = Mapping[str, Any]


class Contents:
    """The objects of all buckets.

    Args:
        folder: where all of it is kept; what an earlier start left there is there again.
        clock: gives times and generations.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self.tree, self._apart, self._incoming = folder / "tree", folder / "apart", folder / "incoming"
        #: Held by whoever changes something, or needs things to stay as they are.
        self.lock = threading.RLock()
        self._open()

    def _open(self) -> None:
        remove(self._incoming)
        for path in (self.tree, self._apart, self._incoming):
            path.mkdir(parents=True, exist_ok=True)
        self.records = Records(self._folder / "objects.db", self.tree, self._apart)
        self.records.nothing.touch()
        self._files = Tree(self.tree, self.records)
        self._shelf = Shelf(self.records, self._files, self._apart, self._incoming)

    def receiving(self) -> AbstractContextManager[Path]:
        """A place for a file that is to be an object; what is there afterwards is removed."""
        return self._shelf.receiving()

    def clear(self) -> None:
        """Forget everything; the tree stays the folder that it is."""
        with self.lock:
            self.records.close()
            for folder in (*self.tree.iterdir(), self._apart):
                empty(folder)
                folder.rmdir()
            for path in self._folder.glob("objects.db*"):
                path.unlink()
            self._open()

    def clear_bucket(self, name: str) -> None:
        """Forget an empty bucket."""
        self._files.forget(name)
        self.records.drop_bucket(name)

    def require(self, bucket: str) -> Bucket:
        """A bucket. Raises NotFound."""
        found = self.records.bucket(bucket)
        if found is None:
            raise no_bucket()
        return found

    @contextmanager
    def settled(self, *names: tuple[str, str]) -> Iterator[Sequence[Object | None]]:
        """The objects of these buckets and names, which stay as they are in the block as far as the API goes."""
        for attempt in range(TRIES):
            for bucket, name in names:
                self.pick_up(bucket, name)
            with self.lock:
                for bucket, _ in names:
                    self.require(bucket)
                found = [self.records.object(*one) for one in names]
                pairs = zip(names, found, strict=True)
                if attempt == TRIES - 1 or all(self._agree(*one, self._files.look(*one), it) for one, it in pairs):
                    yield found
                    return

    def pick_up_all(self, bucket: str, prefix: str) -> None:
        """Have the records of all objects whose names begin so agree with the tree."""
        with self.lock:
            if self.records.bucket(bucket) is None:
                return
            known = self.records.known(bucket, prefix)
        seen = self._files.walk(bucket, prefix)
        for name in sorted(seen.keys() | known.keys()):
            if not _same(known.get(name), seen.get(name)):
                self.pick_up(bucket, name)

    def pick_up(self, bucket: str, name: str) -> None:
        """Have the record of an object agree with the tree; content is read while others can go on."""
        if not can_be_file(name):
            return
        for attempt in range(TRIES):
            with self.lock:
                if self.records.bucket(bucket) is None:
                    return
                known = self.records.object(bucket, name)
            now, seen = time.time_ns(), self._files.look(bucket, name)
            if self._agree(bucket, name, seen, known):
                return
            try:
                found = sums.of_file(self._files.path(bucket, name)) if seen and seen.is_file else sums.EMPTY
            except OSError:
                continue
            with self.lock:
                still = attempt == TRIES - 1 or self._files.look(bucket, name) == seen
                if still and self.records.object(bucket, name) == known:
                    self._adopt(bucket, name, known, seen, found, now)
                    return

    def _agree(self, bucket: str, name: str, seen: Seen | None, known: Object | None) -> bool:
        """Whether an object is known as it is seen in the tree."""
        if _same(None if known is None else Known(known.stamp, known.visible, known.settled), seen):
            return True
        is_new = seen is not None and seen.is_file and not (known and known.visible)
        return is_new and being_written(self._files.path(bucket, name))

    def _adopt(self, bucket: str, name: str, known: Object | None, seen: Seen | None, found: Digests, now: int) -> None:
        """Write down what a process has made, changed or removed."""
        if seen is None:
            self.records.drop_object(bucket, name)
            self._shelf.drop(known)
            self._shelf.show_hidden(bucket, name)
            return
        settled = not seen.is_file or now - seen.stamp.mtime > _TICK
        as_known = known is not None and (known.size, known.crc32c) == (found.size, found.crc32c)
        if known is not None and known.visible and as_known and known.stamp == seen.stamp:
            self.records.save_object(replace(known, settled=settled))
            return
        path = self._files.path(bucket, name) if seen.is_file else self.records.nothing
        time_now = self._clock.now()
        made = Object(
            *(bucket, name, self._generation(time_now), 1, *found, time_now, time_now, path),
            fields=_fields_of_file(name, known, seen),
            stamp=seen.stamp,
            settled=settled,
        )
        self.records.save_object(made)
        self._shelf.drop(known)

    def commit(
        self,
        bucket: str,
        name: str,
        source: Path,
        found: Digests,
        fields: Fields,
        components: int | None,
        before: Object | None,
    ) -> Object:
        """Have a file be an object.

        Args:
            bucket: its bucket.
            name: within the bucket.
            source: the file, which is moved away.
            found: its checksums.
            fields: what the client has set.
            components: of how many objects it was put together; None where it was not.
            before: what :meth:`settled` has given of that name.
        """
        with self.records.together():
            self._clear_way(bucket, name)
            path, stamp = self._shelf.store(bucket, name, source, found.size)
            now = self._clock.now()
            made = Object(
                *(bucket, name, self._generation(now), 1, *found, now, now, path),
                fields=fields,
                components=components,
                visible=stamp is not None,
                stamp=stamp or FOLDER,
            )
            self.records.save_object(made)
        self._shelf.drop(before)
        return made

    def move(self, found: Object, name: str, source: Path, known: Digests, before: Object | None) -> Object:
        """Have a file, a copy of an object, be in the place of ``before`` as :meth:`commit`, and the object be gone."""
        made = self.commit(found.bucket, name, source, known, found.fields, found.components, before)
        old = self.records.object(found.bucket, found.name)  # the folders of the new one may have hidden it
        if old is not None:
            self.take_away(old)
        return made

    def take_away(self, found: Object) -> None:
        """Remove an object that :meth:`settled` has given; what its folders had hidden is seen again."""
        with self.records.together():
            self.records.drop_object(found.bucket, found.name)
            if found.visible:
                self._files.remove(found.bucket, found.name)
                self._shelf.show_hidden(found.bucket, found.name)
        self._shelf.drop(found)

    def _clear_way(self, bucket: str, name: str) -> None:
        """Of an object and a folder of one name, have the folder be seen, as with Cloud Storage FUSE.

        What a process is still writing stays, and a link, which may lead anywhere.
        """
        blocker = self._files.blocker(bucket, name) if can_be_file(name) else None
        if blocker is None:
            return
        self.pick_up(bucket, blocker)
        there = self.records.object(bucket, blocker)
        if there is not None and there.visible and there.path != self.records.nothing:
            self._shelf.hide(there)

    def _generation(self, now: float) -> int:
        """As the service's: microseconds since the epoch, but always another."""
        return self.records.next_generation(int(now * 1e6))


def _same(known: Known | None, seen: Seen | None) -> bool:
    if known is None or not known.visible:
        return seen is None
    return seen is not None and known.settled and known.stamp == seen.stamp


def _fields_of_file(name: str, known: Object | None, seen: Seen) -> Fields:
    """As Cloud Storage FUSE has it: those of the object before, else the type that goes with the name's ending."""
    if seen.target is not None:
        return {"metadata": {_LINK: seen.target}}
    if known is not None:
        return known.fields
    guessed = mimetypes.guess_type(name)[0] if seen.is_file else None
    return {"contentType": guessed} if guessed else {}
