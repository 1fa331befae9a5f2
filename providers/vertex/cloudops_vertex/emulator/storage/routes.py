"""Which operation a request is, by method, host, path and parameters.

The JSON API's paths are those of https://cloud.google.com/storage/docs/json_api/v1; the XML API's operations, which are
told by their parameters (https://cloud.google.com/storage/docs/xml-api/reference-methods), have the names of the same.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from .errors import Invalid

_HOST = ".storage.googleapis.com"


class Form(enum.Enum):
    """How an answer is written."""

    JSON = "json"
    MEDIA = "media"
    XML = "xml"


@dataclass(frozen=True, slots=True)
class Route:
    """What a request is about.

    Args:
        operation: as the JSON API names it, such as ``objects.insert``; empty for none.
        form: how an error has to look.
        bucket: empty where it is about none.
        name: of the object; empty where it is about none.
        target: bucket and name of the second object, in copies.
        project: where it is about one.
        missing: what the emulator leaves out, if it is that; for the error.
    """

    operation: str
    form: Form
    bucket: str = ""
    name: str = ""
    target: tuple[str, str] = ("", "")
    project: str = ""
    missing: str = ""


_BUCKET, _OBJECT = "b/{bucket}", "b/{bucket}/o/{name}"
_JSON = (
    ("GET", "b", "buckets.list"),
    ("POST", "b", "buckets.insert"),
    ("GET", _BUCKET, "buckets.get"),
    ("PATCH", _BUCKET, "buckets.patch"),
    ("PUT", _BUCKET, "buckets.update"),
    ("DELETE", _BUCKET, "buckets.delete"),
    ("GET", f"{_BUCKET}/iam", "buckets.getIamPolicy"),
    ("PUT", f"{_BUCKET}/iam", "buckets.setIamPolicy"),
    ("GET", f"{_BUCKET}/iam/testPermissions", "buckets.testIamPermissions"),
    ("GET", f"{_BUCKET}/storageLayout", "buckets.getStorageLayout"),
    ("GET", f"{_BUCKET}/o", "objects.list"),
    ("POST", f"{_BUCKET}/o", "objects.insert"),
    ("GET", _OBJECT, "objects.get"),
    ("PATCH", _OBJECT, "objects.patch"),
    ("PUT", _OBJECT, "objects.update"),
    ("DELETE", _OBJECT, "objects.delete"),
    ("POST", f"{_OBJECT}/compose", "objects.compose"),
    ("POST", f"{_OBJECT}/copyTo/b/{{bucket2}}/o/{{name2}}", "objects.copy"),
    ("POST", f"{_OBJECT}/rewriteTo/b/{{bucket2}}/o/{{name2}}", "objects.rewrite"),
    ("POST", f"{_OBJECT}/moveTo/o/{{name2}}", "objects.move"),
    ("GET", "projects/{project}/serviceAccount", "projects.serviceAccount.get"),
)
#: Parts of the JSON API that are left out: path, the operations' first name, and what it is.
_LEFT_OUT = (
    (f"{_BUCKET}/acl", "bucketAccessControls", "access control lists; use uniform bucket-level access"),
    (f"{_BUCKET}/defaultObjectAcl", "defaultObjectAccessControls", "access control lists of new objects"),
    (f"{_BUCKET}/notificationConfigs", "notifications", "notifications"),
    (f"{_BUCKET}/lockRetentionPolicy", "buckets.lockRetentionPolicy", "retention"),
    (f"{_BUCKET}/restore", "buckets.restore", "buckets that are restored"),
    (f"{_BUCKET}/relocate", "buckets.relocate", "the relocation of buckets"),
    (f"{_BUCKET}/operations", "buckets.operations", "long-running operations"),
    (f"{_BUCKET}/folders", "folders", "folders of a hierarchical namespace"),
    (f"{_BUCKET}/managedFolders", "managedFolders", "managed folders"),
    (f"{_BUCKET}/anywhereCaches", "anywhereCaches", "Anywhere Cache"),
    (f"{_BUCKET}/o/bulkRestore", "objects.bulkRestore", "objects that are restored"),
    (f"{_BUCKET}/o/watch", "objects.watchAll", "notifications"),
    (f"{_OBJECT}/acl", "objectAccessControls", "access control lists; use uniform bucket-level access"),
    (f"{_OBJECT}/iam", "objects.getIamPolicy", "IAM policies of single objects"),
    (f"{_OBJECT}/restore", "objects.restore", "objects that are restored"),
    ("projects/{project}/hmacKeys", "projects.hmacKeys", "HMAC keys"),
    ("channels/stop", "channels.stop", "notifications"),
)
#: Parameters of the XML API that ask for something of a bucket or object other than itself.
_SUBRESOURCES = frozenset(
    [
        "acl",
        "billing",
        "compose",
        "cors",
        "encryption",
        "encryptionConfig",
        "lifecycle",
        "location",
        "logging",
        "notification",
        "object-lock",
        "policy",
        "publicAccessBlock",
        "retention",
        "storageClass",
        "tagging",
        "versioning",
        "website",
        "delete",
    ]
)
_MULTIPART = "multipartUploads"


def _pattern(path: str, rest: str = "") -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)) + rest)


_PATTERNS = [(method, _pattern(path), operation) for method, path, operation in _JSON]
_OTHERS = [(_pattern(path, "(?:/.*)?"), operation, what) for path, operation, what in _LEFT_OUT]
_PREFIX = re.compile(r"/(?:(?P<kind>upload|download|resumable/upload)/)?storage/v1/(?P<rest>.*)")


def operations() -> list[str]:
    """The names of all operations."""
    xml = [f"{_MULTIPART}.{name}" for name in ("create", "uploadPart", "complete", "abort", "list", "listParts")]
    json = [operation for _, _, operation in _JSON]
    return sorted({*json, *(operation for _, operation, _ in _LEFT_OUT), *xml, "batch"})


def find(method: str, host: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Route:
    """What a request is about.

    Args:
        method: of HTTP.
        host: without a port; one that begins with a bucket's name is of the XML API.
        path: as it was sent.
        query: the parameters.
        headers: by lower-case name.
    """
    of_bucket = host.removesuffix(_HOST) if host.endswith(_HOST) else ""
    if not of_bucket:
        if path.rstrip("/") in ("/batch/storage/v1", "/batch"):
            return Route("batch", Form.JSON)
        if found := _PREFIX.fullmatch(path):
            return _json(method, found["kind"] or "", found["rest"], query)
    bucket, _, name = (of_bucket, "", path[1:]) if of_bucket else path[1:].partition("/")
    return _xml(method, decoded(bucket), decoded(name), query, headers)


def decoded(text: str) -> str:
    """A part of a path. Raises Invalid where it is no UTF-8."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise Invalid("The specified object name is not valid.", code="InvalidObjectName") from None


def _json(method: str, kind: str, rest: str, query: Mapping[str, str]) -> Route:
    verb = "GET" if method == "HEAD" else method
    if kind.endswith("upload"):
        found = _pattern(f"{_BUCKET}/o").fullmatch(rest)
        known = found and method in ("POST", "PUT", "DELETE")
        bucket = decoded(found["bucket"]) if found else ""
        return Route("objects.insert" if known else "", Form.JSON, bucket, query.get("name", ""))
    for wanted, pattern, operation in _PATTERNS:
        if wanted == verb and (found := pattern.fullmatch(rest)):
            media = operation == "objects.get" and (query.get("alt") == "media" or kind == "download")
            return _of_match(operation, Form.MEDIA if media else Form.JSON, found)
    for pattern, operation, what in _OTHERS:
        if found := pattern.fullmatch(rest):
            return _of_match(operation, Form.JSON, found, what)
    return Route("", Form.JSON)


def _of_match(operation: str, form: Form, found: re.Match[str], missing: str = "") -> Route:
    parts = {name: decoded(value) for name, value in found.groupdict().items()}
    bucket = parts.get("bucket", "")
    target = (parts.get("bucket2", bucket), parts["name2"]) if "name2" in parts else ("", "")
    return Route(operation, form, bucket, parts.get("name", ""), target, parts.get("project", ""), missing)


def _xml(method: str, bucket: str, name: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Route:
    other = next((key for key in query if key in _SUBRESOURCES), "")
    missing = f"{other} in the XML API; use the JSON API" if other else ""
    if not bucket or not name:
        names = {"GET": "objects.list", "HEAD": "buckets.get", "PUT": "buckets.insert", "DELETE": "buckets.delete"}
        operation = names.get(method, "") if bucket else "buckets.list"
        if bucket and "uploads" in query:
            operation = f"{_MULTIPART}.list"
        if operation in ("buckets.insert", "buckets.delete", "buckets.list") or (bucket and method == "POST"):
            missing = missing or "buckets and forms in the XML API; use the JSON API"
        return Route(operation, Form.XML, bucket, missing=missing)
    if "x-goog-resumable" in headers:
        missing = missing or "resumable uploads in the XML API; use the JSON API"
    return Route(_xml_object(method, query, headers), Form.XML, bucket, name, missing=missing)


def _xml_object(method: str, query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    if "uploads" in query and method == "POST":
        return f"{_MULTIPART}.create"
    if "uploadId" in query:
        names = {"PUT": "uploadPart", "POST": "complete", "DELETE": "abort", "GET": "listParts"}
        return f"{_MULTIPART}.{names[method]}" if method in names else ""
    if method == "PUT":
        return "objects.copy" if "x-goog-copy-source" in headers else "objects.insert"
    if method == "POST":
        return "objects.insert" if "x-goog-resumable" in headers else ""
    return {"GET": "objects.get", "HEAD": "objects.get", "DELETE": "objects.delete"}.get(method, "")
