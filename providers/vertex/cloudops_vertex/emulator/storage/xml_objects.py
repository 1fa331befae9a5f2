"""The XML API's operations on objects and on the list of them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from urllib.parse import quote

from . import conditions
from .answer import Answer, element, instant, of_xml
from .digests import PIECE, given
from .errors import Invalid
from .listing import LARGEST, Page, Wanted, after, page, token
from .media import download, hashes, md5_of
from .request import Request
from .resources import object_fields
from .routes import decoded
from .service import Service, handles
from .things import DEFAULT_TYPE, Object

#: Of the answers' root elements.
NAMESPACE = "http://doc.s3.amazonaws.com/2006-03-01"
_FIELDS = {
    "content-encoding": "contentEncoding",
    "content-disposition": "contentDisposition",
    "content-language": "contentLanguage",
    "cache-control": "cacheControl",
    "x-goog-custom-time": "customTime",
    "x-goog-storage-class": "storageClass",
}
_META = "x-goog-meta-"


@handles("objects.get", xml=True)
def get(service: Service, request: Request) -> Answer:
    """Give the bytes of one."""
    return download(service, request, _by_md5(service, request))


@handles("objects.insert", xml=True)
def put(service: Service, request: Request) -> Answer:
    """Make one."""
    service.bucket(request)
    wanted = conditions.of_headers(request.headers)
    fields = fields_of(request)
    expected = {"md5": request.headers.get("content-md5"), **given(request.headers.get("x-goog-hash", ""))}
    with service.buckets.receiving() as path:
        with path.open("wb") as file:
            shutil.copyfileobj(request.stream, file, PIECE)
        made = service.buckets.put_file(
            request.route.bucket, request.route.name, path, fields, wanted, expected=expected
        )
    return Answer(200, {"Content-Type": "text/html; charset=UTF-8", **made_headers(made)})


@handles("objects.delete", xml=True)
def delete(service: Service, request: Request) -> Answer:
    """Remove one."""
    wanted = conditions.of_headers(request.headers)
    service.buckets.delete(request.route.bucket, request.route.name, request.generation, wanted)
    return Answer(204)


@handles("objects.copy", xml=True)
def copy(service: Service, request: Request) -> Answer:
    """Copy one."""
    bucket, _, name = decoded(request.headers["x-goog-copy-source"]).removeprefix("/").partition("/")
    if not name:
        raise Invalid("The x-goog-copy-source header is not a bucket and an object.")
    generation = request.headers.get("x-goog-copy-source-generation", "")
    replaced = request.headers.get("x-goog-metadata-directive", "COPY").upper() == "REPLACE"
    made = service.buckets.copy(
        (bucket, name, int(generation) if generation.isdecimal() else None),
        (request.route.bucket, request.route.name),
        fields=fields_of(request) if replaced else None,
        conditions=conditions.of_headers(request.headers),
        source_conditions=conditions.of_source_headers(request.headers),
    )
    content = element("LastModified", instant(made.updated)) + element("ETag", f'"{md5_of(made)}"')
    return of_xml(f"<CopyObjectResult>{content}</CopyObjectResult>", made_headers(made))


@handles("buckets.get", xml=True)
def head(service: Service, request: Request) -> Answer:
    """Say that a bucket is there."""
    found = service.bucket(request)
    shown = {"x-goog-storage-class": str(found.settings.get("storageClass", "STANDARD"))}
    return Answer(200, {**shown, "x-goog-metageneration": str(found.metageneration)})


@handles("objects.list", xml=True)
def list_(service: Service, request: Request) -> Answer:
    """Show those of a bucket, a page at a time; ``list-type=2`` is the newer form."""
    query, newer = request.query, request.query.get("list-type") == "2"
    if newer:
        last = query.get("start-after", "")
        last = max(last, after(query["continuation-token"])) if query.get("continuation-token") else last
    else:
        last = query.get("marker", "")
    limit = request.number("max-keys")
    wanted = Wanted(
        prefix=query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        limit=LARGEST if limit is None else limit,
        after=last,
    )
    look = not last or (newer and not query.get("continuation-token"))
    found = page(service.buckets.list(request.route.bucket, wanted.prefix, look=look), wanted)
    encode = (lambda text: quote(text, safe="/")) if query.get("encoding-type") == "url" else str
    head = element("Name", request.route.bucket) + element("Prefix", encode(wanted.prefix))
    if newer:
        head += element("KeyCount", len(found.items) + len(found.prefixes))
        head += element("NextContinuationToken", token(found.last)) if found.last else ""
    else:
        head += element("Marker", encode(last)) + (element("NextMarker", encode(found.last)) if found.last else "")
    head += element("MaxKeys", wanted.limit) + (element("Delimiter", wanted.delimiter) if wanted.delimiter else "")
    head += element("IsTruncated", "true" if found.last else "false")
    return of_xml(f"<ListBucketResult xmlns='{NAMESPACE}'>{head}{_entries(found, encode)}</ListBucketResult>")


def fields_of(request: Request) -> Mapping[str, object]:
    """What headers say of the object that is to be made. Raises Invalid."""
    headers = request.headers
    fields: dict[str, object] = {field: headers[name] for name, field in _FIELDS.items() if headers.get(name)}
    own = {
        name.removeprefix(_META): value.encode("latin-1").decode("utf-8", "replace")
        for name, value in headers.items()
        if name.startswith(_META)
    }
    kind = headers.get("content-type") or DEFAULT_TYPE
    return object_fields({**fields, "contentType": kind, **({"metadata": own} if own else {})}, {})


def made_headers(made: Object) -> dict[str, str]:
    """What tells of an object that was just made."""
    return {
        "ETag": f'"{md5_of(made)}"',
        "x-goog-generation": str(made.generation),
        "x-goog-metageneration": str(made.metageneration),
        "x-goog-hash": hashes(made.crc32c, made.md5),
        "x-goog-stored-content-length": str(made.size),
    }


def _by_md5(service: Service, request: Request) -> conditions.Conditions:
    """The conditions of a reader, whose ETags are those of the XML API."""
    wanted = conditions.of_headers(request.headers)
    if not wanted.etag_match and not wanted.etag_not_match:
        return wanted
    found = service.buckets.get(request.route.bucket, request.route.name, request.generation)
    return wanted.with_tag(md5_of(found), found.etag)


def _entries(found: Page, encode: object) -> str:
    assert callable(encode)
    items = "".join(
        "<Contents>"
        + element("Key", encode(one.name))
        + element("Generation", one.generation)
        + element("MetaGeneration", one.metageneration)
        + element("LastModified", instant(one.updated))
        + element("ETag", f'"{md5_of(one)}"')
        + element("Size", one.size)
        + "</Contents>"
        for one in found.items
    )
    prefixes = "".join(
        f"<CommonPrefixes>{element('Prefix', encode(prefix))}</CommonPrefixes>" for prefix in found.prefixes
    )
    return items + prefixes
