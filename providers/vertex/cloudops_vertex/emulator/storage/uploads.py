"""The JSON API's ways to send an object: at once, with what it is to be beside it, or resumably."""

from __future__ import annotations

import re
import shutil
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from . import conditions
from .answer import Answer, of_json
from .digests import PIECE, given
from .errors import Invalid, Required, StorageError
from .names import check_object
from .related import Related
from .request import Request
from .resources import object_fields, of_object
from .service import Service, handles
from .sessions import Session
from .things import DEFAULT_TYPE

_RANGE = re.compile(r"bytes (?:(?P<start>\d+)-(?P<end>\d+)|\*)/(?P<total>\d+|\*)")


@handles("objects.insert")
def insert(service: Service, request: Request) -> Answer:
    """Make an object, or a part of one."""
    if "upload_id" in request.query:
        return _resume(service, request)
    if request.method != "POST":
        raise StorageError("Method Not Allowed", status=405, reason="methodNotAllowed", code="MethodNotAllowed")
    service.bucket(request)
    kind = request.query.get("uploadType")
    ways = {"media": _media, "multipart": _multipart, "resumable": _start, None: _bare}
    if kind not in ways or (kind is None and "/upload/" in request.path):
        raise Invalid(f"Invalid upload type: {kind}", "uploadType")
    return ways[kind](service, request)


def _media(service: Service, request: Request) -> Answer:
    _name(request, {})
    with service.buckets.receiving() as path:
        with path.open("wb") as file:
            shutil.copyfileobj(request.stream, file, PIECE)
        return _put(service, request, path, {}, request.headers.get("content-type", ""))


def _multipart(service: Service, request: Request) -> Answer:
    body = Related(request.stream, request.headers.get("content-type", ""))
    metadata = body.metadata()
    _name(request, metadata)
    with service.buckets.receiving() as path:
        kind = body.media(path)
        return _put(service, request, path, metadata, kind)


def _bare(service: Service, request: Request) -> Answer:
    """An object without bytes."""
    metadata = request.json()
    with service.buckets.receiving() as path:
        path.touch()
        return _put(service, request, path, metadata, "")


def _put(service: Service, request: Request, path: Path, metadata: Mapping[str, Any], kind: str) -> Answer:
    """Make an object of a file; ``kind`` is the media type with which its bytes came."""
    made = service.buckets.put_file(
        request.route.bucket,
        _name(request, metadata),
        path,
        _fields(request, metadata, kind),
        conditions.of_query(request.query, request.headers),
        expected=_expected(request, metadata),
    )
    return of_json(of_object(made, request.base), request.query.get("fields"))


def _start(service: Service, request: Request) -> Answer:
    metadata = request.json()
    bucket, name = request.route.bucket, _name(request, metadata)
    fields = _fields(request, metadata, request.headers.get("x-upload-content-type", ""))
    wanted = conditions.of_query(request.query, request.headers)
    service.buckets.check(bucket, name, wanted)
    session = service.sessions.start(bucket, name, fields, wanted, _expected(request, metadata))
    query = f"uploadType=resumable&name={quote(name, safe='')}&upload_id={session.id}"
    location = f"{request.base}/upload/storage/v1/b/{bucket}/o?{query}"
    return Answer(200, {"Location": location, "X-Goog-Upload-Status": "active"})


def _resume(service: Service, request: Request) -> Answer:
    """A chunk, a question how far it is, or the end of an upload that was begun."""
    session = service.sessions.find(request.query["upload_id"])
    with service.sessions.lock(session):
        session = service.sessions.find(session.id)
        if request.method == "DELETE":
            if session.made is None:
                service.sessions.cancel(session)
            return Answer(499)
        if session.made is not None:
            return of_json(session.made, request.query.get("fields"))
        return _chunk(service, request, session)


def _chunk(service: Service, request: Request, session: Session) -> Answer:
    header = request.headers.get("content-range", "")
    found = _RANGE.fullmatch(header.strip())
    if header and found is None:
        raise Invalid(f"Failed to parse Content-Range header: {header}")
    total = None if found is None or found["total"] == "*" else int(found["total"])
    if found is None:
        size = total = service.sessions.receive(session, request.stream, 0, last=True)
    elif found["start"] is None:
        size = service.sessions.size(session)
    else:
        start, end = int(found["start"]), int(found["end"])
        if end < start or (total is not None and end >= total):
            raise Invalid(f"Failed to parse Content-Range header: {header}")
        size = service.sessions.receive(session, request.stream, start, last=total == end + 1)
    if size != total:
        return Answer(308, {"Range": f"bytes=0-{size - 1}"} if size else {})
    return _finish(service, request, session)


def _finish(service: Service, request: Request, session: Session) -> Answer:
    expected = {**session.expected, **given(request.headers.get("x-goog-hash", ""))}
    path = service.sessions.data(session)
    try:
        made = service.buckets.put_file(
            session.bucket, session.name, path, session.fields, session.conditions, expected=expected
        )
    except StorageError:
        service.sessions.cancel(session)
        raise
    shown = of_object(made, request.base)
    service.sessions.finish(session, shown)
    return of_json(shown, request.query.get("fields"))


def _name(request: Request, metadata: Mapping[str, Any]) -> str:
    name = request.query.get("name") or metadata.get("name")
    if not name:
        raise Required("name")
    check_object(str(name))
    return str(name)


def _fields(request: Request, metadata: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """What the object is to be; ``kind`` is the media type of its bytes."""
    encoding = request.query.get("contentEncoding")
    fields = object_fields({**metadata, **({"contentEncoding": encoding} if encoding else {})}, {})
    return {**fields, "contentType": fields.get("contentType") or kind or DEFAULT_TYPE}


def _expected(request: Request, metadata: Mapping[str, Any]) -> Mapping[str, str | None]:
    """The checksums that the client has sent, in headers or with what the object is to be."""
    md5 = request.headers.get("content-md5") or metadata.get("md5Hash")
    if md5 and re.fullmatch(r"[0-9a-fA-F]{32}", str(md5)):
        md5 = b64encode(bytes.fromhex(str(md5))).decode()
    known = {"md5": md5 and str(md5), "crc32c": metadata.get("crc32c") and str(metadata["crc32c"])}
    return {**known, **given(request.headers.get("x-goog-hash", ""))}
