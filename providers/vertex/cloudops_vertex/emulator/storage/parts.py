"""Uploads in parts that come in any order, as in the XML API.

https://cloud.google.com/storage/docs/multipart-uploads is the protocol.
"""

from __future__ import annotations

import json
import shutil
import uuid
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cloudops.engine.folders import remove

from .digests import PIECE, Digests
from .errors import NotFound, StorageError

_FILE = "upload.json"
#: The fewest bytes of a part that is not the last.
SMALLEST = 5 << 20
_MOST = 10_000


@dataclass(frozen=True, slots=True)
class Multipart:
    """One upload.

    Args:
        id: its key.
        bucket: of the object that it will be.
        name: of that object.
        fields: of that object.
        begun: seconds since the epoch, by the offline clock.
    """

    id: str
    bucket: str
    name: str
    fields: Mapping[str, Any]
    begun: float


@dataclass(frozen=True, slots=True)
class Part:
    """A part that has come."""

    number: int
    digests: Digests
    path: Path

    @property
    def etag(self) -> str:
        """The MD5 in hexadecimal digits."""
        return b64decode(self.digests.md5 or "").hex()


class Multiparts:
    """All uploads in parts.

    Args:
        folder: where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def start(self, bucket: str, name: str, fields: Mapping[str, Any], now: float) -> Multipart:
        """Begin one."""
        made = Multipart(uuid.uuid4().hex, bucket, name, fields, now)
        place = self._folder / made.id
        place.mkdir(parents=True)
        (place / _FILE).write_text(json.dumps(asdict(made)), encoding="utf-8")
        return made

    def find(self, bucket: str, name: str, id: str) -> Multipart:
        """The one of that key. Raises NotFound."""
        if id.isalnum():
            found = self._read(self._folder / id)
            if found is not None and (found.bucket, found.name) == (bucket, name):
                return found
        raise NotFound("The specified upload does not exist.", "NoSuchUpload")

    def of_bucket(self, bucket: str) -> list[Multipart]:
        """Those of a bucket, by name."""
        places = self._folder.iterdir() if self._folder.exists() else iter(())
        found = (upload for place in places if (upload := self._read(place)) is not None and upload.bucket == bucket)
        return sorted(found, key=lambda upload: (upload.name, upload.begun))

    def add(self, upload: Multipart, number: int, path: Path, digests: Digests) -> Part:
        """Have the file ``path`` be a part, over one that came before; it is moved away.

        Raises:
            StorageError: its number is out of range.
        """
        if not 1 <= number <= _MOST:
            raise StorageError(f"Part number must be an integer between 1 and {_MOST}, inclusive.")
        kept = self._folder / upload.id / f"{number}.{uuid.uuid4().hex}"
        path.replace(kept)
        record = self._folder / upload.id / f"{number}.json"
        old = record.exists() and json.loads(record.read_text(encoding="utf-8"))["file"]
        new = kept.with_suffix(".new")
        new.write_text(json.dumps({"file": kept.name, "digests": digests}), encoding="utf-8")
        new.replace(record)
        if old:
            (self._folder / upload.id / old).unlink(missing_ok=True)
        return Part(number, digests, kept)

    def parts(self, upload: Multipart) -> list[Part]:
        """What has come, by number."""
        return sorted(self._parts(upload), key=lambda part: part.number)

    def _parts(self, upload: Multipart) -> Iterator[Part]:
        for record in (self._folder / upload.id).glob("*.json"):
            if record.name != _FILE:
                known = json.loads(record.read_text(encoding="utf-8"))
                yield Part(int(record.stem), Digests(*known["digests"]), record.with_name(known["file"]))

    def join(self, upload: Multipart, wanted: Sequence[tuple[int, str]], path: Path) -> None:
        """Write parts to a file, one after the other.

        Args:
            upload: the upload.
            wanted: numbers and ETags, in order.
            path: of the new file.

        Raises:
            StorageError: there is no such part, they are not in order, or one but the last is too small.
        """
        there = {part.number: part for part in self._parts(upload)}
        numbers = [number for number, _ in wanted]
        if not wanted or numbers != sorted(set(numbers)):
            text = "The list of parts was not in ascending order. Parts must be ordered by part number."
            raise StorageError(text, code="InvalidPartOrder")
        for number, etag in wanted:
            if number not in there or there[number].etag != etag.strip('"'):
                text = "One or more of the specified parts could not be found or its ETag does not match."
                raise StorageError(text, code="InvalidPart")
            if number != numbers[-1] and there[number].digests.size < SMALLEST:
                text = "Your proposed upload is smaller than the minimum allowed object size."
                raise StorageError(text, code="EntityTooSmall")
        with path.open("wb") as whole:
            for number in numbers:
                with there[number].path.open("rb") as part:
                    shutil.copyfileobj(part, whole, PIECE)

    def end(self, upload: Multipart) -> None:
        """Forget it, with its parts."""
        remove(self._folder / upload.id)

    def _read(self, place: Path) -> Multipart | None:
        try:
            return Multipart(**json.loads((place / _FILE).read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
