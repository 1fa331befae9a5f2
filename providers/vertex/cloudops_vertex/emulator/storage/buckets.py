"""The state of the emulated Cloud Storage: buckets, and objects that are files in a tree at the same time."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from cloudops.engine.folders import remove

from . import digests as sums
from .conditions import NONE, Conditions
from .contents import TRIES, Contents, Fields
from .errors import Conflict, no_object
from .names import check_bucket, check_object
from .things import DEFAULT_TYPE, FOLDER, Bucket, Object, Stamp

if TYPE_CHECKING:
    from cloudops.offline.clock import Clock

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
        self._clock, self._contents = clock, Contents(folder, clock)
        #: The folder in which every bucket is a folder and every object that can be one is a file.
        self.tree = self._contents.tree
        #: For uploads that are under way; it is kept between two starts.
        self.uploads = folder / "uploads"

    def now(self) -> float:
        """Seconds since the epoch, by the offline clock."""
        return self._clock.now()

    def close(self) -> None:
        """Let go of the files; all of the state is in them."""
        with self._contents.lock:
            self._contents.records.close()

    def reset(self) -> None:
        """Forget everything. :attr:`tree` stays the folder that it is: others may have mounted it."""
        with self._contents.lock:
            self._contents.clear()
            remove(self.uploads)

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
        with self._contents.lock:
            there = self._contents.records.bucket(bucket)
            if there is not None:
                raise _taken(ours=there.project == project)
            made = Bucket(bucket, project, now, now, settings={**(settings or {}), "location": location.upper()})
            (self.tree / bucket).mkdir(exist_ok=True)
            self._contents.records.save_bucket(made)
            return made

    def bucket(self, name: str) -> Bucket | None:
        """One of them, if it is there."""
        with self._contents.lock:
            return self._contents.records.bucket(name)

    def buckets(self, project: str | None = None) -> Sequence[Bucket]:
        """Those of a project, or all; by name."""
        with self._contents.lock:
            found = self._contents.records.buckets()
        return [bucket for bucket in found if project in (None, bucket.project)]

    def change_bucket(self, name: str, change: Callable[[Bucket], Bucket]) -> Bucket:
        """Replace what is known of a bucket by what ``change`` makes of it, with the next metageneration.

        Raises:
            NotFound: there is no such bucket; and what ``change`` raises.
        """
        with self._contents.lock:
            there = self._contents.require(name)
            changed = replace(change(there), metageneration=there.metageneration + 1, updated=self._clock.now())
            self._contents.records.save_bucket(changed)
            return changed

    def remove_bucket(self, name: str, check: Callable[[Bucket], None] = lambda bucket: None) -> None:
        """Remove a bucket that is empty.

        Raises:
            NotFound: there is no such bucket.
            Conflict: it has objects; and what ``check`` raises.
        """
        self._contents.pick_up_all(name, "")
        with self._contents.lock:
            check(self._contents.require(name))
            if self._contents.records.known(name, ""):
                raise Conflict("The bucket you tried to delete is not empty.", "BucketNotEmpty")
            self._contents.clear_bucket(name)

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

    def receiving(self) -> AbstractContextManager[Path]:
        """A place for a file that is to be an object; what is there afterwards is removed."""
        return self._contents.receiving()

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
        with self._contents.settled((bucket, name)) as (there,):
            conditions.check(there)
            found = found if components is None else found._replace(md5=None)
            return self._contents.commit(bucket, name, path, found, fields, components, there)

    def check(self, bucket: str, name: str, conditions: Conditions) -> None:
        """Raise PreconditionFailed where they do not hold of what is there now."""
        with self._contents.settled((bucket, name)) as (there,):
            conditions.check(there)

    def get(self, bucket: str, name: str, generation: int | None = None) -> Object:
        """One of them.

        Raises:
            NotFound: there is no such bucket, or no such object in it, or it has another generation.
        """
        self._contents.pick_up(bucket, name)
        with self._contents.lock:
            self._contents.require(bucket)
            return _this(bucket, name, self._contents.records.object(bucket, name), generation)

    def open(self, bucket: str, name: str, generation: int | None = None) -> tuple[Object, BinaryIO]:
        """One of them, and its bytes, which stay those of this generation when it is replaced. Raises NotFound."""
        for attempt in range(TRIES):
            found = self.get(bucket, name, generation)
            with contextlib.suppress(FileNotFoundError, IsADirectoryError, NotADirectoryError):
                stream = open(found.path, "rb", buffering=0, opener=_open_file)  # noqa: SIM115 - the caller's
                last = attempt == TRIES - 1
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
            self._contents.pick_up_all(bucket, prefix)
        with self._contents.lock:
            self._contents.require(bucket)
            return self._contents.records.objects(bucket, prefix)

    def delete(self, bucket: str, name: str, generation: int | None = None, conditions: Conditions = NONE) -> None:
        """Remove one. Raises NotFound or PreconditionFailed."""
        with self._contents.settled((bucket, name)) as (there,):
            found = _this(bucket, name, there, generation)
            conditions.check(found)
            self._contents.take_away(found)

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
        with self._contents.settled((bucket, name)) as (there,):
            found = _this(bucket, name, there, generation)
            conditions.check(found)
            changed = replace(
                found,
                fields=change(found.fields),
                metageneration=found.metageneration + 1,
                updated=self._clock.now(),
            )
            self._contents.records.save_object(changed)
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
        for _ in range(TRIES):
            found, stream = self.open(bucket, source)
            with stream, self.receiving() as path:
                with path.open("wb") as copy:
                    shutil.copyfileobj(stream, copy, sums.PIECE)
                known = sums.of_file(path) if found.md5 else sums.of_file(path)._replace(md5=None)
                with self._contents.settled((bucket, source), (bucket, target)) as (there, before):
                    source_conditions.check(_this(bucket, source, there, None))
                    conditions.check(before)
                    if source == target:
                        return found
                    if there == found:
                        return self._contents.move(found, target, path, known, before)
        raise no_object(bucket, source)


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


def _open_file(path: str, flags: int) -> int:
    """Open no link, and wait for nobody: a process may have put something else there since it was looked at."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)


def _is(stream: Any, found: Object) -> bool:
    """Whether what was opened is what was looked at."""
    status = os.fstat(stream.fileno())
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ino) == found.stamp
