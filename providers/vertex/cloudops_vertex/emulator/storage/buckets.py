"""The state of the emulated Cloud Storage: buckets, and objects that are files in a tree at the same time."""

from __future__ import annotations

import contextlib
import mimetypes
import os
import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from cloudops.engine.folders import empty, remove

from . import digests as sums
from .conditions import NONE, Conditions
from .digests import Digests
from .errors import Conflict, no_bucket, no_object
from .leases import being_written
from .names import can_be_file, check_bucket, check_object, is_folder
from .records import Known, Records
from .things import DEFAULT_TYPE, FOLDER, Bucket, Object, Stamp
from .tree import Seen, Tree, parents

if TYPE_CHECKING:
    from cloudops.offline.clock import Clock

#: How often it is tried to see an object at rest that some process writes to all the time.
_TRIES = 5
#: So long after its last change, in nanoseconds, the time of a file's next change is another: systems count in ticks.
_TICK = 50_000_000
#: As Cloud Storage FUSE writes down where a link leads.
_LINK = "gcsfuse_symlink_target"

Fields = Mapping[str, Any]
Objects = list[Object]


class Buckets:
    """All buckets of all projects. Every method may be called from several threads at once.

    Objects that can be files are files below :attr:`tree`. What processes do to those is seen when objects are asked
    for. A new file is an object once no process has it open for writing. Of a file that a process writes over, the
    content before is gone at once, which is otherwise with Cloud Storage FUSE.

    Args:
        folder: where all of it is kept; what an earlier start left there is there again.
        clock: gives times and generations.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        #: The folder in which every bucket is a folder and every object that can be one is a file.
        self.tree = folder / "tree"
        self._apart, self._incoming = folder / "apart", folder / "incoming"
        #: For uploads that are under way; it is kept between two starts.
        self.uploads = folder / "uploads"
        self._lock = threading.RLock()
        self._open()

    def _open(self) -> None:
        remove(self._incoming)
        for path in (self.tree, self._apart, self._incoming, self.uploads):
            path.mkdir(parents=True, exist_ok=True)
        self._records = Records(self._folder / "objects.db", self.tree, self._apart)
        self._records.nothing.touch()
        self._files = Tree(self.tree, self._records)

    def now(self) -> float:
        """Seconds since the epoch, by the offline clock."""
        return self._clock.now()

    def close(self) -> None:
        """Let go of the files; all of the state is in them."""
        with self._lock:
            self._records.close()

    def reset(self) -> None:
        """Forget everything. :attr:`tree` stays the folder that it is: others may have mounted it."""
        with self._lock:
            self._records.close()
            for folder in (*self.tree.iterdir(), self._apart, self.uploads):
                empty(folder)
                folder.rmdir()
            for path in self._folder.glob("objects.db*"):
                path.unlink()
            self._open()

    # Buckets

    def create(self, bucket: str, *, project: str, location: str = "US", settings: Fields | None = None) -> Bucket:
        """Make a bucket.

        Args:
            bucket: its name.
            project: to which it belongs.
            location: a region or multi-region.
            settings: further ones, as in the JSON API.

        Raises:
            Invalid: it cannot be named so.
            Conflict: there is one.
        """
        check_bucket(bucket)
        now = self._clock.now()
        with self._lock:
            there = self._records.bucket(bucket)
            if there is not None:
                raise _taken(ours=there.project == project)
            made = Bucket(bucket, project, now, now, settings={**(settings or {}), "location": location.upper()})
            (self.tree / bucket).mkdir(exist_ok=True)
            self._records.save_bucket(made)
            return made

    def bucket(self, name: str) -> Bucket | None:
        """One of them, if it is there."""
        with self._lock:
            return self._records.bucket(name)

    def buckets(self, project: str | None = None) -> Sequence[Bucket]:
        """Those of a project, or all; by name."""
        with self._lock:
            found = self._records.buckets()
        return [bucket for bucket in found if project in (None, bucket.project)]

    def change_bucket(self, name: str, change: Callable[[Bucket], Bucket]) -> Bucket:
        """Replace what is known of a bucket by what ``change`` makes of it, with the next metageneration.

        Raises:
            NotFound: there is no such bucket; and what ``change`` raises.
        """
        with self._lock:
            there = self._require(name)
            changed = replace(change(there), metageneration=there.metageneration + 1, updated=self._clock.now())
            self._records.save_bucket(changed)
            return changed

    def remove_bucket(self, name: str, check: Callable[[Bucket], None] = lambda bucket: None) -> None:
        """Remove a bucket that is empty.

        Raises:
            NotFound: there is no such bucket.
            Conflict: it has objects; and what ``check`` raises.
        """
        self._pick_up_all(name, "")
        with self._lock:
            check(self._require(name))
            if self._records.known(name, ""):
                raise Conflict("The bucket you tried to delete is not empty.", "BucketNotEmpty")
            remove(self.tree / name)
            self._records.drop_bucket(name)
            self._files = Tree(self.tree, self._records)

    # Objects

    def put(
        self,
        bucket: str,
        name: str,
        data: bytes | Path,
        *,
        if_generation_match: int | None = None,
        content_type: str = DEFAULT_TYPE,
        metadata: Mapping[str, str] | None = None,
    ) -> Object:
        """Make an object, or a new generation of it.

        Args:
            bucket: its bucket.
            name: within the bucket.
            data: the bytes, or a file with them, which is left as it is.
            if_generation_match: the generation that is there has to be this one; 0: there must be none.
            content_type: its media type.
            metadata: the client's own.

        Raises:
            NotFound: there is no such bucket.
            Invalid: it cannot be named so.
            PreconditionFailed: another generation is there.
        """
        with self.receiving() as path:
            if isinstance(data, Path):
                shutil.copyfile(data, path)
            else:
                path.write_bytes(data)
            fields = {"contentType": content_type, **({"metadata": dict(metadata)} if metadata else {})}
            return self.put_file(bucket, name, path, fields, Conditions(generation_match=if_generation_match))

    @contextmanager
    def receiving(self) -> Iterator[Path]:
        """A place for a file that is to be an object; what is there afterwards is removed."""
        path = self._incoming / uuid.uuid4().hex
        try:
            yield path
        finally:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()

    def put_file(
        self,
        bucket: str,
        name: str,
        path: Path,
        fields: Fields,
        conditions: Conditions = NONE,
        *,
        expected: Mapping[str, str | None] | None = None,
        components: int | None = None,
    ) -> Object:
        """Make an object of a file that :meth:`receiving` has given; the file is moved away.

        Args:
            bucket: its bucket.
            name: within the bucket.
            path: of the file.
            fields: what the client has set, as in the JSON API.
            conditions: on the object that is there.
            expected: checksums that the client has sent.
            components: of how many objects or parts it was put together; it has no MD5 then.

        Raises:
            NotFound, Invalid, PreconditionFailed: as :meth:`put`.
            BadDigest: the bytes are not what the client has sent.
        """
        check_object(name)
        found = sums.of_file(path)
        sums.check(expected or {}, found)
        with self._settled((bucket, name)) as (there,):
            conditions.check(there)
            found = found if components is None else found._replace(md5=None)
            return self._commit(bucket, name, path, found, fields, components, there)

    def check(self, bucket: str, name: str, conditions: Conditions) -> None:
        """Raise PreconditionFailed where they do not hold of what is there now."""
        with self._settled((bucket, name)) as (there,):
            conditions.check(there)

    def get(self, bucket: str, name: str, generation: int | None = None) -> Object:
        """One of them.

        Raises:
            NotFound: there is no such bucket, or no such object in it, or it has another generation.
        """
        self._pick_up(bucket, name)
        with self._lock:
            self._require(bucket)
            return _this(bucket, name, self._records.object(bucket, name), generation)

    def open(self, bucket: str, name: str, generation: int | None = None) -> tuple[Object, BinaryIO]:
        """One of them, and its bytes, which stay those of this generation when it is replaced. Raises NotFound."""
        for attempt in range(_TRIES):
            found = self.get(bucket, name, generation)
            with contextlib.suppress(FileNotFoundError):
                stream = found.path.open("rb", buffering=0)
                last = attempt == _TRIES - 1
                if last or not found.visible or found.stamp == FOLDER or _is(stream, found):
                    return found, stream
                stream.close()
        raise no_object(bucket, name)

    def read(self, bucket: str, name: str) -> bytes:
        """All bytes of one of them. Raises NotFound."""
        stream = self.open(bucket, name)[1]
        with stream:
            return stream.read()

    def list(self, bucket: str, prefix: str = "", *, look: bool = True) -> Objects:
        """Those whose names begin so, by name.

        Args:
            bucket: their bucket.
            prefix: of their names.
            look: whether the tree is looked at for what processes have changed since.

        Raises:
            NotFound: there is no such bucket.
        """
        if look:
            self._pick_up_all(bucket, prefix)
        with self._lock:
            self._require(bucket)
            return self._records.objects(bucket, prefix)

    def delete(self, bucket: str, name: str, generation: int | None = None, conditions: Conditions = NONE) -> None:
        """Remove one. Raises NotFound or PreconditionFailed."""
        with self._settled((bucket, name)) as (there,):
            found = _this(bucket, name, there, generation)
            conditions.check(found)
            self._take_away(found)

    def change(
        self,
        bucket: str,
        name: str,
        change: Callable[[Fields], Fields],
        generation: int | None = None,
        conditions: Conditions = NONE,
    ) -> Object:
        """Replace the fields of one by what ``change`` makes of them, with the next metageneration.

        Raises:
            NotFound, PreconditionFailed: it is not there, or not as it has to be; and what ``change`` raises.
        """
        with self._settled((bucket, name)) as (there,):
            found = _this(bucket, name, there, generation)
            conditions.check(found)
            changed = replace(
                found,
                fields=change(found.fields),
                metageneration=found.metageneration + 1,
                updated=self._clock.now(),
            )
            self._records.save_object(changed)
            return changed

    def compose(
        self,
        bucket: str,
        name: str,
        sources: Sequence[tuple[str, int | None, Conditions]],
        fields: Fields,
        conditions: Conditions = NONE,
    ) -> Object:
        """Make an object of others of its bucket, one after the other.

        Args:
            bucket: of all of them.
            name: of the new object.
            sources: names, generations (None for the one that is there) and conditions.
            fields: of the new object.
            conditions: on what is there under its name.

        Raises:
            NotFound, PreconditionFailed: a source, or what is there, is not as it has to be.
        """
        count = 0
        with self.receiving() as path:
            with path.open("wb") as whole:
                for source, generation, condition in sources:
                    found, stream = self.open(bucket, source, generation)
                    with stream:
                        condition.check(found)
                        shutil.copyfileobj(stream, whole, sums.PIECE)
                    count += found.components or 1
            return self.put_file(bucket, name, path, fields, conditions, components=count)

    def copy(
        self,
        source: tuple[str, str, int | None],
        target: tuple[str, str],
        *,
        fields: Fields | None = None,
        conditions: Conditions = NONE,
        source_conditions: Conditions = NONE,
    ) -> Object:
        """Copy an object.

        Args:
            source: bucket, name and generation (None for the one that is there).
            target: bucket and name.
            fields: of the copy; None for those of the source.
            conditions: on what is there under the new name.
            source_conditions: on the source.

        Raises:
            NotFound, PreconditionFailed, Invalid: as :meth:`get` and :meth:`put`.
        """
        found, stream = self.open(*source)
        with stream, self.receiving() as path:
            source_conditions.check(found)
            with path.open("wb") as copy:
                shutil.copyfileobj(stream, copy, sums.PIECE)
            fields = found.fields if fields is None else fields
            return self.put_file(*target, path, fields, conditions, components=found.components)

    def move(
        self,
        bucket: str,
        source: str,
        target: str,
        conditions: Conditions = NONE,
        source_conditions: Conditions = NONE,
    ) -> Object:
        """Give an object another name, at once. Raises NotFound, Invalid or PreconditionFailed."""
        check_object(target)
        with self._settled((bucket, source), (bucket, target)) as (there, before), self.receiving() as path:
            found = _this(bucket, source, there, None)
            source_conditions.check(found)
            conditions.check(before)
            if source == target:
                return found
            # Not a link to what is shared by all objects without bytes.
            path.touch() if found.path == self._records.nothing else path.hardlink_to(found.path)
            known = Digests(found.size, found.crc32c, found.md5)
            moved = self._commit(bucket, target, path, known, found.fields, found.components, before)
            self._take_away(_this(bucket, source, self._records.object(bucket, source), None))
            return moved

    # What is there, and what processes have made of it

    def _require(self, bucket: str) -> Bucket:
        found = self._records.bucket(bucket)
        if found is None:
            raise no_bucket()
        return found

    @contextmanager
    def _settled(self, *names: tuple[str, str]) -> Iterator[Sequence[Object | None]]:
        """The objects of these buckets and names, which stay as they are in the block as far as the API goes."""
        for attempt in range(_TRIES):
            for bucket, name in names:
                self._pick_up(bucket, name)
            with self._lock:
                for bucket, _ in names:
                    self._require(bucket)
                found = [self._records.object(*one) for one in names]
                pairs = zip(names, found, strict=True)
                if attempt == _TRIES - 1 or all(self._agree(*one, self._files.look(*one), it) for one, it in pairs):
                    yield found
                    return

    def _pick_up_all(self, bucket: str, prefix: str) -> None:
        """Have the records of all objects whose names begin so agree with the tree."""
        seen = self._files.walk(bucket, prefix)
        with self._lock:
            known = self._records.known(bucket, prefix)
        for name in sorted(seen.keys() | known.keys()):
            if not _same(known.get(name), seen.get(name)):
                self._pick_up(bucket, name)

    def _pick_up(self, bucket: str, name: str) -> None:
        """Have the record of an object agree with the tree; content is read while others can go on."""
        if not can_be_file(name):
            return
        for attempt in range(_TRIES):
            now, seen = time.time_ns(), self._files.look(bucket, name)
            with self._lock:
                if self._records.bucket(bucket) is None:
                    return
                known = self._records.object(bucket, name)
            if self._agree(bucket, name, seen, known):
                return
            try:
                found = sums.of_file(self._files.path(bucket, name)) if seen and seen.is_file else sums.EMPTY
            except OSError:
                continue
            with self._lock:
                still = self._files.look(bucket, name) == seen and self._records.object(bucket, name) == known
                if still or attempt == _TRIES - 1:
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
            self._records.drop_object(bucket, name)
            self._drop_bytes(known)
            self._show_hidden(bucket, name)
            return
        settled = not seen.is_file or now - seen.stamp.mtime > _TICK
        as_known = known is not None and (known.size, known.crc32c) == (found.size, found.crc32c)
        if known is not None and known.visible and as_known and known.stamp == seen.stamp:
            self._records.save_object(replace(known, settled=settled))
            return
        path = self._files.path(bucket, name) if seen.is_file else self._records.nothing
        time_now = self._clock.now()
        made = Object(
            *(bucket, name, self._generation(time_now), 1, *found, time_now, time_now, path),
            fields=_fields_of_file(name, known, seen),
            stamp=seen.stamp,
            settled=settled,
        )
        self._records.save_object(made)
        self._drop_bytes(known)

    def _commit(
        self,
        bucket: str,
        name: str,
        source: Path,
        found: Digests,
        fields: Fields,
        components: int | None,
        before: Object | None,
    ) -> Object:
        """Have a file be an object, in the place of ``before``."""
        with self._records.together():
            path, stamp = self._store(bucket, name, source, found.size)
            now = self._clock.now()
            made = Object(
                *(bucket, name, self._generation(now), 1, *found, now, now, path),
                fields=fields,
                components=components,
                visible=stamp is not None,
                stamp=stamp or FOLDER,
            )
            self._records.save_object(made)
        self._drop_bytes(before)
        return made

    def _store(self, bucket: str, name: str, source: Path, size: int) -> tuple[Path, Stamp | None]:
        """Move a file to where an object's bytes are; its stamp, None where it is not seen in the tree."""
        stamp = None
        if can_be_file(name) and self._clear_way(bucket, name):
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

    def _clear_way(self, bucket: str, name: str) -> bool:
        """Whether there can be a folder for an object of that name.

        Of an object and a folder of one name, the folder is seen, as with Cloud Storage FUSE.
        """
        blocker = self._files.blocker(bucket, name)
        if blocker is None:
            return True
        there = self._records.object(bucket, blocker)
        if there is None or not there.visible or there.path == self._records.nothing:
            return False  # a process is writing it, or has made a link that may lead anywhere
        path = self._apart / uuid.uuid4().hex
        there.path.replace(path)
        self._records.save_object(replace(there, path=path, visible=False, stamp=FOLDER, settled=True))
        return True

    def _take_away(self, found: Object) -> None:
        """Remove an object; what its folders had hidden is seen again."""
        with self._records.together():
            self._records.drop_object(found.bucket, found.name)
            if found.visible:
                self._files.remove(found.bucket, found.name)
                self._show_hidden(found.bucket, found.name)
        self._drop_bytes(found)

    def _show_hidden(self, bucket: str, name: str) -> None:
        """Have objects be seen that were hidden by the folders of one that is gone."""
        for parent in parents(f"{name}x" if is_folder(name) else name):
            hidden = self._records.object(bucket, parent)
            if hidden is not None and not hidden.visible and self._files.blocker(bucket, f"{parent}/x") is None:
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

    def _drop_bytes(self, found: Object | None) -> None:
        """Remove the bytes that an object had apart from the tree."""
        if found is not None and found.path.parent == self._apart and found.path != self._records.nothing:
            found.path.unlink(missing_ok=True)

    def _generation(self, now: float) -> int:
        """As the service's: microseconds since the epoch, but always another."""
        return self._records.next_generation(int(now * 1e6))


def _taken(*, ours: bool) -> Conflict:
    if ours:
        text = "Your previous request to create the named bucket succeeded and you already own it."
        return Conflict(text, "BucketAlreadyOwnedByYou")
    text = "The requested bucket name is not available. The bucket namespace is shared by all users of the system."
    return Conflict(f"{text} Please select a different name and try again.", "BucketAlreadyExists")


def _this(bucket: str, name: str, found: Object | None, generation: int | None) -> Object:
    if found is None or generation not in (None, found.generation):
        raise no_object(bucket, name)
    return found


def _same(known: Known | None, seen: Seen | None) -> bool:
    if known is None or not known.visible:
        return seen is None
    return seen is not None and known.settled and known.stamp == seen.stamp


def _is(stream: Any, found: Object) -> bool:
    """Whether what was opened is what was looked at."""
    status = os.fstat(stream.fileno())
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino) == found.stamp


def _fields_of_file(name: str, known: Object | None, seen: Seen) -> Fields:
    """As Cloud Storage FUSE has it: those of the object before, else the type that goes with the name's ending."""
    if seen.target is not None:
        return {"metadata": {_LINK: seen.target}}
    if known is not None:
        return known.fields
    guessed = mimetypes.guess_type(name)[0] if seen.is_file else None
    return {"contentType": guessed} if guessed else {}
