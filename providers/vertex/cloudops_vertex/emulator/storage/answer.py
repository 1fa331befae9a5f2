"""What goes back over HTTP."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.sax.saxutils import escape

from .digests import PIECE
from .errors import StorageError
from .fieldmask import select
from .routes import Form

if TYPE_CHECKING:
    from wsgiref.types import StartResponse

_REASONS = {308: "Resume Incomplete", 499: "Client Closed Request"}
_JSON = "application/json; charset=UTF-8"
_XML = "application/xml; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, headers and a body."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Iterable[bytes] = b""

    def send(self, method: str, start_response: StartResponse) -> Iterable[bytes]:
        """Give it to the server."""
        reason = _REASONS.get(self.status) or HTTPStatus(self.status).phrase
        headers = {"X-GUploader-UploadID": uuid.uuid4().hex, **self.headers}
        if isinstance(self.body, bytes) and self.status != 304:
            headers.setdefault("Content-Length", str(len(self.body)))
        start_response(f"{self.status} {reason}", list(headers.items()))
        if method == "HEAD":
            _close(self.body)
            return []
        return [self.body] if isinstance(self.body, bytes) else self.body


class Bytes:
    """So many bytes of a file, in pieces; the file is closed with it."""

    def __init__(self, stream: BinaryIO, start: int, size: int) -> None:
        self._stream, self._left = stream, size
        stream.seek(start)

    def __iter__(self) -> Iterator[bytes]:
        while self._left:
            piece = self._stream.read(min(PIECE, self._left))
            if not piece:
                raise OSError("the file of an object has become shorter while it was read")
            self._left -= len(piece)
            yield piece

    def close(self) -> None:
        """Close the file."""
        self._stream.close()


def of_json(value: Any, fields: str | None = None, status: int = 200) -> Answer:
    """JSON; ``fields`` says which members the client wants."""
    chosen = select(value, fields) if fields else value
    body = json.dumps(chosen, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(status, {"Content-Type": _JSON, "Cache-Control": "no-cache, no-store, max-age=0"}, body)


def of_xml(text: str, headers: Mapping[str, str] | None = None) -> Answer:
    """XML; ``text`` is the root element."""
    body = f"<?xml version='1.0' encoding='UTF-8'?>{text}".encode()
    return Answer(200, {"Content-Type": _XML, **(headers or {})}, body)


def element(name: str, content: object) -> str:
    """An XML element with a text."""
    return f"<{name}>{escape(str(content))}</{name}>"


def of_error(error: StorageError, form: Form) -> Answer:
    """An error as the API writes it that was asked."""
    if error.status == 304:
        return Answer(304)
    headers = dict(error.headers)
    if form is Form.MEDIA:
        return Answer(error.status, {"Content-Type": "text/html; charset=UTF-8", **headers}, error.message.encode())
    if form is Form.XML:
        return Answer(error.status, {"Content-Type": _XML, **headers}, _xml_error(error))
    told = of_json({"error": _json_error(error)}, status=error.status)
    return Answer(told.status, {**told.headers, **headers}, told.body)


def _json_error(error: StorageError) -> dict[str, Any]:
    detail = {"message": error.message, "domain": error.domain, "reason": error.reason}
    if error.where is not None:
        detail |= {"locationType": error.where.kind, "location": error.where.name}
    return {"code": error.status, "message": error.message, "errors": [detail]}


_XML_MESSAGES = {
    "NoSuchKey": "The specified key does not exist.",
    "NoSuchBucket": "The specified bucket does not exist.",
    "BadDigest": "The digest you specified does not match what we calculated.",
    "InvalidArgument": "Invalid argument.",
}


def _xml_error(error: StorageError) -> bytes:
    message = element("Message", _XML_MESSAGES.get(error.code, error.message))
    details = element("Details", error.message)
    return (
        f"<?xml version='1.0' encoding='UTF-8'?><Error>{element('Code', error.code)}{message}{details}</Error>".encode()
    )


def instant(seconds: float) -> str:
    """A time as the JSON API writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _close(body: bytes | Iterable[bytes]) -> None:
    close = getattr(body, "close", None)
    if close is not None:
        close()
