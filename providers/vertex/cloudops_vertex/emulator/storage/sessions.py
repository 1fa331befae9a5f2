"""Resumable uploads: what has come of them is kept until they are whole, also over a restart.

https://cloud.google.com/storage/docs/performing-resumable-uploads is the protocol.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from .conditions import Conditions
from .digests import PIECE
from .errors import Invalid, NotFound, StorageError

#: Bytes of all chunks but the last are kept in multiples of this.
UNIT = 256 << 10
_FILE, _DATA = "session.json", "data"


@dataclass(frozen=True, slots=True)
class Session:
    """One upload.

    Args:
        id: its key.
        bucket: of the object that it will be.
        name: of that object.
        fields: of that object.
        conditions: on what is there under its name.
        expected: checksums that the client has sent.
        made: the object that it has become, as the JSON API shows it.
        cancelled: whether the client has given it up.
    """

    id: str
    bucket: str
    name: str
    fields: Mapping[str, Any]
    conditions: Conditions
    expected: Mapping[str, str | None]
    made: Mapping[str, Any] | None = None
    cancelled: bool = False


class Sessions:
    """All resumable uploads.

    Args:
        folder: where they are kept.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._locks: dict[str, threading.Lock] = {}

    def start(
        self,
        bucket: str,
        name: str,
        fields: Mapping[str, Any],
        conditions: Conditions,
        expected: Mapping[str, str | None],
    ) -> Session:
        """Begin one."""
        made = Session(uuid.uuid4().hex, bucket, name, fields, conditions, expected)
        (self._folder / made.id).mkdir(parents=True)
        self.data(made).touch()
        self._save(made)
        return made

    def find(self, id: str) -> Session:
        """The one of that key.

        Raises:
            NotFound: there is none.
            StorageError: it was cancelled.
        """
        try:
            text = (self._folder / _key(id) / _FILE).read_text(encoding="utf-8")
        except FileNotFoundError:
            raise NotFound("The upload session was not found.", "NoSuchUpload") from None
        known = json.loads(text)
        found = Session(**{**known, "conditions": Conditions(**_tuples(known["conditions"]))})
        if found.cancelled:
            raise StorageError("The upload session was cancelled.", status=410, reason="gone", code="NoSuchUpload")
        return found

    def known(self, id: str) -> bool:
        """Whether there is one of that key, or was."""
        try:
            return (self._folder / _key(id) / _FILE).exists()
        except NotFound:
            return False

    def lock(self, session: Session) -> threading.Lock:
        """Held by whoever adds to it."""
        return self._locks.setdefault(session.id, threading.Lock())

    def data(self, session: Session) -> Path:
        """The file with what has come."""
        return self._folder / session.id / _DATA

    def size(self, session: Session) -> int:
        """How many bytes have come."""
        return self.data(session).stat().st_size

    def receive(self, session: Session, stream: BinaryIO, start: int, *, last: bool) -> int:
        """Add the bytes of a chunk, and return how many there are now.

        What has come is kept where the client ends in the midst of it.

        Args:
            session: the upload.
            stream: the chunk.
            start: where in the whole it begins; bytes that are there already are left as they are.
            last: whether the whole ends with it; otherwise an odd end is not kept.

        Raises:
            Invalid: bytes are missing before it, or it is too small.
        """
        there = self.size(session)
        if start > there:
            raise Invalid(
                "Invalid request.  According to the Content-Range header, the upload offset is "
                f"{start} byte(s), which exceeds already uploaded size of {there} byte(s)."
            )
        skipped, came = there - start, 0
        while skipped and (piece := stream.read(min(PIECE, skipped))):
            skipped -= len(piece)
        with self.data(session).open("ab") as file:
            while piece := stream.read(PIECE):
                came += file.write(piece)
            if not last:
                file.truncate((there + came) // UNIT * UNIT)
        if not last and there - start + came < UNIT:
            raise Invalid(
                "Invalid request.  The number of bytes uploaded is required to be equal or greater than "
                f"{UNIT}, except for the final request (it's recommended to be the exact multiple of {UNIT}).  "
                f"The received request contained {there - start + came} bytes, which does not meet this requirement."
            )
        return self.size(session)

    def finish(self, session: Session, made: Mapping[str, Any]) -> None:
        """Write down what it has become."""
        self._save(replace(session, made=made))

    def cancel(self, session: Session) -> None:
        """Give it up."""
        self._save(replace(session, cancelled=True))
        self.data(session).unlink(missing_ok=True)

    def _save(self, session: Session) -> None:
        path = self._folder / session.id / _FILE
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(session)), encoding="utf-8")
        new.replace(path)


def _key(id: str) -> str:
    """A key that clients send, which is to lead nowhere else. Raises NotFound."""
    if not id.isalnum():
        raise NotFound("The upload session was not found.", "NoSuchUpload")
    return id


def _tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
