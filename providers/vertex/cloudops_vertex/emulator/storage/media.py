"""The bytes of an object, or a range of them."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from .answer import Answer, Bytes
from .conditions import Conditions
from .errors import NotModified, PreconditionFailed, StorageError
from .request import Request
from .routes import Form
from .service import Service
from .things import Object

#: Up to this size an object is read at once, and its file closed before the answer begins.
_SMALL = 1 << 16
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
#: What the name of a header can be (RFC 9110).
_TOKEN = re.compile(r"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_FIELDS = {
    "contentEncoding": "Content-Encoding",
    "contentDisposition": "Content-Disposition",
    "contentLanguage": "Content-Language",
    "cacheControl": "Cache-Control",
    "customTime": "x-goog-custom-time",
}


def download(service: Service, request: Request, wanted: Conditions) -> Answer:
    """Give the bytes of the object that a request is about.

    Raises:
        NotFound, PreconditionFailed, NotModified: it is not there, or not as the client wants it.
        StorageError: the range is behind its end.
    """
    found, stream = service.buckets.open(request.route.bucket, request.route.name, request.generation)
    try:
        wanted.check(found, reading=True)
        _check_times(request.headers, found)
        part = _part(request.headers.get("range", ""), found.size)
    except BaseException:
        stream.close()
        raise
    headers = _headers(found, request.route.form)
    start, size = part or (0, found.size)
    headers["Content-Length"] = str(size)
    if part is not None:
        headers["Content-Range"] = f"bytes {start}-{start + size - 1}/{found.size}"
    body = Bytes(stream, start, size)
    if size > _SMALL:
        return Answer(206 if part else 200, headers, body)
    try:
        return Answer(206 if part else 200, headers, b"".join(body))
    finally:
        body.close()


def md5_of(found: Object) -> str:
    """The ETag of the XML API: the MD5 in hexadecimal digits, where there is one."""
    return b64decode(found.md5).hex() if found.md5 else f"-{found.etag}"


def hashes(crc32c: str, md5: str | None) -> str:
    """The header ``x-goog-hash``."""
    return f"crc32c={crc32c},md5={md5}" if md5 else f"crc32c={crc32c}"


def _headers(found: Object, form: Form) -> dict[str, str]:
    shown = {name: str(found.fields[field]) for field, name in _FIELDS.items() if found.fields.get(field)}
    own = {f"x-goog-meta-{key}": value for key, value in found.metadata.items() if _TOKEN.fullmatch(key)}
    headers = {
        "Content-Type": found.content_type or "application/octet-stream",
        "ETag": f'"{md5_of(found)}"' if form is Form.XML else found.etag,
        "Last-Modified": format_datetime(_time(found.updated), usegmt=True),
        "Accept-Ranges": "bytes",
        "x-goog-generation": str(found.generation),
        "x-goog-metageneration": str(found.metageneration),
        "x-goog-hash": hashes(found.crc32c, found.md5),
        "x-goog-storage-class": str(found.fields.get("storageClass") or "STANDARD"),
        "x-goog-stored-content-length": str(found.size),
        "x-goog-stored-content-encoding": str(found.fields.get("contentEncoding") or "identity"),
        **({"x-goog-component-count": str(found.components)} if found.components else {}),
    }
    return {key: _plain(value) for key, value in {**headers, **shown, **own}.items()}


def _plain(value: str) -> str:
    """A text that can be in a header: one line, as UTF-8."""
    return re.sub(r"[\0-\x1f\x7f]+", " ", value).encode("utf-8", "replace").decode("latin-1")


def _part(header: str, size: int) -> tuple[int, int] | None:
    """Where a range starts and how long it is; None for the whole: several ranges are answered so, too."""
    found = _RANGE.fullmatch(header.replace(" ", ""))
    if found is None or not (found[1] or found[2]):
        return None
    if found[1]:
        start, end = int(found[1]), min(int(found[2] or size), size - 1)
        if found[2] and int(found[2]) < start:
            return None
    else:
        start, end = max(size - int(found[2]), 0), size - 1
        start = size if not int(found[2]) else start
    if start >= size:
        raise StorageError(
            "The requested range cannot be satisfied.",
            status=416,
            reason="requestedRangeNotSatisfiable",
            code="InvalidRange",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return start, end - start + 1


def _check_times(headers: Mapping[str, str], found: Object) -> None:
    """The conditions of HTTP on times, which ETags come before."""
    changed = _time(found.updated)
    since = _date(headers.get("if-unmodified-since", ""))
    if since and changed > since and "if-match" not in headers:
        raise PreconditionFailed("If-Unmodified-Since")
    since = _date(headers.get("if-modified-since", ""))
    if since and changed <= since and "if-none-match" not in headers:
        raise NotModified()


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
