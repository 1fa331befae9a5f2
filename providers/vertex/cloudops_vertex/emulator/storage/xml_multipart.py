"""The XML API's uploads in parts."""

from __future__ import annotations

import re
import shutil
from xml.etree import ElementTree as ET

from . import conditions, digests
from .answer import Answer, element, instant, of_xml
from .digests import PIECE, given
from .errors import StorageError
from .media import hashes, md5_of
from .parts import Multipart
from .request import Request
from .service import Service, handles
from .xml_objects import fields_of, made_headers

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


@handles("multipartUploads.create", xml=True)
def create(service: Service, request: Request) -> Answer:
    """Begin one."""
    service.bucket(request)
    route = request.route
    made = service.multiparts.start(route.bucket, route.name, fields_of(request), service.buckets.now())
    ids = element("Bucket", route.bucket) + element("Key", route.name) + element("UploadId", made.id)
    return _result("InitiateMultipartUploadResult", ids)


@handles("multipartUploads.uploadPart", xml=True)
def upload_part(service: Service, request: Request) -> Answer:
    """Take a part."""
    upload, number = _upload(service, request), request.number("partNumber") or 0
    expected = {"md5": request.headers.get("content-md5"), **given(request.headers.get("x-goog-hash", ""))}
    with service.buckets.receiving() as path:
        with path.open("wb") as file:
            shutil.copyfileobj(request.stream, file, PIECE)
        found = digests.of_file(path)
        digests.check(expected, found)
        part = service.multiparts.add(upload, number, path, found)
    return Answer(200, {"ETag": f'"{part.etag}"', "x-goog-hash": hashes(found.crc32c, found.md5)})


@handles("multipartUploads.complete", xml=True)
def complete(service: Service, request: Request) -> Answer:
    """Put the parts together."""
    upload = _upload(service, request)
    wanted = _wanted(request.text())
    with service.buckets.receiving() as path:
        service.multiparts.join(upload, wanted, path)
        made = service.buckets.put_file(
            upload.bucket,
            upload.name,
            path,
            upload.fields,
            conditions.of_headers(request.headers),
            expected=given(request.headers.get("x-goog-hash", "")),
            components=0,
        )
    service.multiparts.end(upload)
    ids = element("Location", f"{request.base}{request.path}") + element("Bucket", made.bucket)
    ids += element("Key", made.name) + element("ETag", f'"{md5_of(made)}"')
    return _result("CompleteMultipartUploadResult", ids, made_headers(made))


@handles("multipartUploads.abort", xml=True)
def abort(service: Service, request: Request) -> Answer:
    """Give it up."""
    service.multiparts.end(_upload(service, request))
    return Answer(204)


@handles("multipartUploads.listParts", xml=True)
def list_parts(service: Service, request: Request) -> Answer:
    """Show what has come."""
    upload = _upload(service, request)
    head = element("Bucket", upload.bucket) + element("Key", upload.name) + element("UploadId", upload.id)
    parts = "".join(
        f"<Part>{element('PartNumber', part.number)}{element('ETag', _quoted(part.etag))}"
        f"{element('Size', part.digests.size)}</Part>"
        for part in service.multiparts.parts(upload)
    )
    return _result("ListPartsResult", f"{head}<IsTruncated>false</IsTruncated>{parts}")


@handles("multipartUploads.list", xml=True)
def list_(service: Service, request: Request) -> Answer:
    """Show those that are under way."""
    service.bucket(request)
    uploads = "".join(
        f"<Upload>{element('Key', upload.name)}{element('UploadId', upload.id)}"
        f"{element('Initiated', instant(upload.begun))}</Upload>"
        for upload in service.multiparts.of_bucket(request.route.bucket)
    )
    head = element("Bucket", request.route.bucket) + "<IsTruncated>false</IsTruncated>"
    return _result("ListMultipartUploadsResult", head + uploads)


def _upload(service: Service, request: Request) -> Multipart:
    return service.multiparts.find(request.route.bucket, request.route.name, request.query["uploadId"])


def _wanted(body: bytes) -> list[tuple[int, str]]:
    """Numbers and ETags of the parts that a client names. Raises StorageError."""
    try:
        root = ET.fromstring(re.sub(rb'\sxmlns="[^"]*"', b"", body))
        return [(int(part.findtext("PartNumber") or ""), part.findtext("ETag") or "") for part in root.iter("Part")]
    except (ET.ParseError, ValueError):
        text = "The XML you provided was not well-formed or did not validate against our published schema."
        raise StorageError(text, code="MalformedCompleteMultipartUploadRequest") from None


def _quoted(text: str) -> str:
    return f'"{text}"'


def _result(name: str, content: str, headers: dict[str, str] | None = None) -> Answer:
    return of_xml(f"<{name} xmlns='{_NAMESPACE}'>{content}</{name}>", headers)
