"""Bodies of two parts: what an object is to be, as JSON, and its bytes (multipart/related)."""

from __future__ import annotations

import email.parser
import email.policy
from pathlib import Path
from typing import Any, BinaryIO

from .digests import PIECE
from .errors import StorageError
from .request import parse_json

#: The most bytes of the first part, and of the headers of the second.
_LARGEST = 1 << 20


def boundary_of(content_type: str) -> bytes:
    """What separates the parts. Raises StorageError."""
    headers = email.parser.HeaderParser(policy=email.policy.HTTP).parsestr(f"Content-Type: {content_type}\n\n")
    boundary = headers.get_param("boundary")
    if not isinstance(boundary, str) or not boundary:
        raise _malformed("the boundary is missing")
    return boundary.encode("latin-1")


class Related:
    """Such a body, read from the front to the back.

    Args:
        stream: the body.
        content_type: its header.
    """

    def __init__(self, stream: BinaryIO, content_type: str) -> None:
        self._stream = stream
        self._delimiter = b"\r\n--" + boundary_of(content_type)
        self._buffer = b"\r\n"  # the first delimiter is at the start

    def metadata(self) -> dict[str, Any]:
        """The first part. Raises StorageError where it is no JSON."""
        self._until(self._delimiter)
        part = self._until(self._delimiter)
        return parse_json(_content(part))

    def media(self, path: Path) -> str:
        """Write the second part to a file, and return its media type. Raises StorageError."""
        header = self._until(b"\r\n\r\n").partition(b"\n")[2]
        size = len(self._delimiter)
        with path.open("wb") as file:
            while (at := self._buffer.find(self._delimiter)) < 0:
                held = len(self._buffer) - size + 1
                if held > 0:
                    file.write(self._buffer[:held])
                    self._buffer = self._buffer[held:]
                self._more()
            file.write(self._buffer[:at])
        while self._stream.read(PIECE):
            pass  # what comes behind the last delimiter is no part
        parsed = email.parser.BytesHeaderParser(policy=email.policy.HTTP).parsebytes(header + b"\r\n\r\n")
        return str(parsed.get("Content-Type") or "").strip()

    def _until(self, end: bytes) -> bytes:
        while (at := self._buffer.find(end)) < 0:
            if len(self._buffer) > _LARGEST:
                raise _malformed("a part is too large")
            self._more()
        found, self._buffer = self._buffer[:at], self._buffer[at + len(end) :]
        return found

    def _more(self) -> None:
        piece = self._stream.read(PIECE)
        if not piece:
            raise _malformed("a part does not end")
        self._buffer += piece


def _content(part: bytes) -> bytes:
    """What is behind the headers of a part."""
    _, _, content = part.partition(b"\r\n\r\n")
    return content


def _malformed(why: str) -> StorageError:
    return StorageError(f"Malformed multipart body: {why}.", reason="badContent", code="MalformedMultipart")
