"""``bigquery.googleapis.com``: datasets, tables and their rows; queries, jobs and everything else are refused.

https://cloud.google.com/bigquery/docs/reference/rest
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import bigquery_rows as rows
from .bigquery_errors import BigQueryError, denied, fault
from .bigquery_store import Dataset, Table
from .faults import NO_TOKEN
from .web import Request, answer

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from cloudops.offline.faults import FaultKind

    from .site import Site

_PATH = re.compile(
    r"/(?:bigquery/)?v2/projects/(?P<project>[^/]+)/datasets(?:/(?P<dataset>[^/]+))?"
    r"(?P<tables>/tables(?:/(?P<table>[^/]+)(?P<rest>/data|/insertAll)?)?)?"
)
_ID = re.compile(r"\w{1,1024}")
#: What a dataset and a table may be created with and is kept; other members are refused.
_OF_DATASET = {"datasetReference", "friendlyName", "description", "location", "labels", "access"}
_OF_DATASET |= {"defaultTableExpirationMs", "defaultPartitionExpirationMs", "kind", "id", "etag", "selfLink"}
_OF_TABLE = {"tableReference", "schema", "friendlyName", "description", "labels", "expirationTime"}
_OF_TABLE |= {"timePartitioning", "clustering", "kind", "id", "etag", "selfLink"}
#: Bytes of a request, and rows of a page.
_LONGEST, _PAGE = 10 << 20, 10_000
#: Operations to the permissions that they need.
_PERMISSIONS = {
    "datasets.insert": "bigquery.datasets.create",
    "datasets.get": "bigquery.datasets.get",
    "datasets.list": "bigquery.datasets.get",
    "datasets.delete": "bigquery.datasets.delete",
    "tables.insert": "bigquery.tables.create",
    "tables.get": "bigquery.tables.get",
    "tables.list": "bigquery.tables.list",
    "tables.delete": "bigquery.tables.delete",
    "tabledata.list": "bigquery.tables.getData",
    "tabledata.insertAll": "bigquery.tables.updateData",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request is about.

    Args:
        operation: such as ``tables.insert``; empty for what is not emulated.
        project: as the request names it.
        dataset: its id; empty where there is none.
        table: its id; likewise.
    """

    operation: str
    project: str = ""
    dataset: str = ""
    table: str = ""

    @property
    def shown(self) -> str:
        """As errors name it."""
        if not self.dataset:
            return self.project
        return f"{self.project}:{self.dataset}{f'.{self.table}' if self.table else ''}"

    @property
    def what(self) -> str:
        """The same with its kind."""
        return f"{'Table' if self.table else 'Dataset' if self.dataset else 'Project'} {self.shown}"


def asked(environ: WSGIEnvironment) -> Asked:
    """What a request is about, by its verb and path."""
    verb, found = str(environ["REQUEST_METHOD"]), _PATH.fullmatch(str(environ["PATH_INFO"]))
    if found is None:
        return Asked("")
    kind = "tables" if found["tables"] else "datasets"
    if found["rest"]:
        names = {("GET", "/data"): "tabledata.list", ("POST", "/insertAll"): "tabledata.insertAll"}
        operation = names.get((verb, found["rest"]), "")
    else:
        one = {"GET": "get", "DELETE": "delete"} if found[kind[:-1]] else {"GET": "list", "POST": "insert"}
        operation = f"{kind}.{one[verb]}" if verb in one else ""
    return Asked(operation, found["project"], found["dataset"] or "", found["table"] or "")


def subjects() -> Iterable[str]:
    """All names of operations that :meth:`BigQuery.identify` can tell."""
    return [f"bigquery:{operation}" for operation in _PERMISSIONS]


class BigQuery:
    """The service, as a WSGI application."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._warehouse = site.warehouse

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        try:
            found = self._answer(asked(environ), environ)
        except BigQueryError as error:
            return answer(start_response, error.status, error.body())
        return answer(start_response, 200, found) if found is not None else answer(start_response, 204, b"")

    @staticmethod
    def identify(environ: WSGIEnvironment) -> tuple[str, str]:
        """The operation and the resource of a request."""
        found = asked(environ)
        return f"bigquery:{found.operation or environ['REQUEST_METHOD']}", found.shown

    @staticmethod
    def refuse(kind: FaultKind, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer with the service's own error for a fault."""
        found = asked(environ)
        error = fault(kind, f"bigquery:{found.operation}", found.what)
        return answer(start_response, error.status, error.body())

    def _answer(self, found: Asked, environ: WSGIEnvironment) -> Mapping[str, Any] | None:
        if self._site.tokens.principal(environ) is None:
            raise BigQueryError("authError", NO_TOKEN)
        if not found.operation:
            call = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']}"
            text = f"{call} is not emulated by the offline cloud: it keeps tables and answers no queries."
            raise BigQueryError("notImplemented", text)
        permission = _PERMISSIONS[found.operation]
        if not self._site.may(permission):
            raise denied(permission, found.what)
        kind, _, verb = found.operation.partition(".")
        method: Callable[..., Mapping[str, Any] | None] = getattr(self, f"_{kind}_{verb}")
        with self._warehouse.lock:
            return method(found, Request(environ), self._site.projects.number(found.project), environ)

    # Datasets

    def _datasets_insert(
        self, found: Asked, request: Request, project: str, environ: WSGIEnvironment
    ) -> Mapping[str, Any]:
        given = _body(environ)
        name = _id(given, "dataset", _OF_DATASET)
        self._warehouse.make_dataset(project, name, given, f"{found.project}:{name}")
        return self._datasets_get(Asked("", found.project, name), request, project, environ)

    def _datasets_get(
        self, found: Asked, request: Request, project: str, environ: WSGIEnvironment
    ) -> Mapping[str, Any]:
        one = self._warehouse.dataset(project, found.dataset, found.shown)
        return _tagged({**_dataset(found, one), "access": one.document.get("access", []), "type": "DEFAULT"})

    def _datasets_list(
        self, found: Asked, request: Request, project: str, environ: WSGIEnvironment
    ) -> Mapping[str, Any]:
        listed = [
            _short(_dataset(Asked("", found.project, name), one))
            for name, one in self._warehouse.datasets(project).items()
        ]
        chosen, more = _page(request, listed)
        return {"kind": "bigquery#datasetList", **({"datasets": chosen} if chosen else {}), **more}

    def _datasets_delete(self, found: Asked, request: Request, project: str, environ: WSGIEnvironment) -> None:
        contents = request.query.get("deleteContents", "").lower() == "true"
        self._warehouse.drop_dataset(project, found.dataset, contents=contents, shown=found.shown)

    # Tables

    def _tables_insert(
        self, found: Asked, request: Request, project: str, environ: WSGIEnvironment
    ) -> Mapping[str, Any]:
        given = _body(environ)
        name = _id(given, "table", _OF_TABLE)
        fields = rows.schema(given.get("schema", {}).get("fields"))
        self._warehouse.dataset(project, found.dataset, found.shown)
        self._warehouse.make_table(project, found.dataset, name, fields, given)
        return self._tables_get(Asked("", found.project, found.dataset, name), request, project, environ)

    def _tables_get(self, found: Asked, request: Request, project: str, environ: WSGIEnvironment) -> Mapping[str, Any]:
        table = self._warehouse.table(project, found.dataset, found.table, found.shown)
        size = sum(len(json.dumps(row)) for row in table.rows)
        counts = {"numRows": str(len(table.rows)), "numBytes": str(size)}
        return _tagged({**_table(found, table), "schema": {"fields": table.fields}, **counts, "location": "US"})

    def _tables_list(self, found: Asked, request: Request, project: str, environ: WSGIEnvironment) -> Mapping[str, Any]:
        known = self._warehouse.dataset(project, found.dataset, found.shown)
        listed = [
            _short(_table(Asked("", found.project, found.dataset, name), one))
            for name, one in sorted(known.tables.items())
        ]
        chosen, more = _page(request, listed)
        return {"kind": "bigquery#tableList", "tables": chosen, "totalItems": len(listed), **more}

    def _tables_delete(self, found: Asked, request: Request, project: str, environ: WSGIEnvironment) -> None:
        self._warehouse.drop_table(project, found.dataset, found.table, found.shown)

    # Rows

    def _tabledata_list(
        self, found: Asked, request: Request, project: str, environ: WSGIEnvironment
    ) -> Mapping[str, Any]:
        table = self._warehouse.table(project, found.dataset, found.table, found.shown)
        query = request.query
        times = "int64" if query.get("formatOptions.useInt64Timestamp", "").lower() == "true" else ""
        times = "iso" if query.get("formatOptions.timestampOutputFormat") == "ISO8601_STRING" else times
        fields = _selected(table.fields, query.get("selectedFields", ""))
        chosen, more = _page(request, table.rows, "startIndex", "pageToken")
        shown = [rows.shown(one, fields, times) for one in chosen]
        told = {"kind": "bigquery#tableDataList", "totalRows": str(len(table.rows)), **more}
        return _tagged({**told, **({"rows": shown} if shown else {})})

    def _tabledata_insertAll(
        self, found: Asked, request: Request, project: str, environ: WSGIEnvironment
    ) -> Mapping[str, Any]:
        table, given = self._warehouse.table(project, found.dataset, found.table, found.shown), _body(environ)
        good, errors = [], []
        for index, one in enumerate(given.get("rows", ())):
            try:
                row = rows.taken(one.get("json"), table.fields, ignore=bool(given.get("ignoreUnknownValues")))
                good.append((row, str(one.get("insertId", ""))))
            except rows.BadValue as error:
                problem = {"reason": "invalid", "location": error.where, "debugInfo": "", "message": error.text}
                errors.append({"index": index, "errors": [problem]})
        if not given.get("rows"):
            raise BigQueryError("invalid", "No rows present in the request.")
        if errors and not given.get("skipInvalidRows"):
            wrong = {one["index"] for one in errors}
            stopped = {"reason": "stopped", "location": "", "debugInfo": "", "message": ""}
            others = [number for number in range(len(given["rows"])) if number not in wrong]
            errors += [{"index": number, "errors": [stopped]} for number in others]
            good = []
        for row, insert_id in good:
            self._warehouse.append(table, row, insert_id)
        return {"kind": "bigquery#tableDataInsertAllResponse", **({"insertErrors": errors} if errors else {})}


def _body(environ: WSGIEnvironment) -> dict[str, Any]:
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > _LONGEST:
        raise BigQueryError("invalid", f"Request payload size exceeds the limit: {_LONGEST} bytes.")
    try:
        found = json.loads(environ["wsgi.input"].read(length) or b"{}")
    except ValueError as error:
        raise BigQueryError("invalid", f"Invalid JSON payload received. {error}") from None
    if not isinstance(found, dict):
        raise BigQueryError("invalid", "Invalid JSON payload received. It is not an object.")
    return found


def _id(given: Mapping[str, Any], kind: str, known: set[str]) -> str:
    """The id of what is to be made."""
    for name, value in given.items():
        if name not in known and value not in (None, {}, []):
            text = f"The offline cloud makes no {kind} with {name!r}. Leave it out."
            raise BigQueryError("notImplemented", text)
    name = str(given.get(f"{kind}Reference", {}).get(f"{kind}Id", ""))
    if not name:
        raise BigQueryError("required", f"Required parameter is missing: {kind}Id")
    if not _ID.fullmatch(name):
        text = (
            f'Invalid {kind} ID "{name}". It must be alphanumeric (plus underscores) and at most 1024 characters long.'
        )
        raise BigQueryError("invalid", text)
    return name


def _dataset(found: Asked, one: Dataset) -> dict[str, Any]:
    reference = {"datasetId": found.dataset, "projectId": found.project}
    path = f"projects/{found.project}/datasets/{found.dataset}"
    return {**_told(one), "location": one.document.get("location", "US"), **_named("dataset", found, path, reference)}


def _table(found: Asked, one: Table) -> dict[str, Any]:
    reference = {"projectId": found.project, "datasetId": found.dataset, "tableId": found.table}
    path = f"projects/{found.project}/datasets/{found.dataset}/tables/{found.table}"
    return {**_told(one), "type": "TABLE", **_named("table", found, path, reference)}


def _told(one: Dataset | Table) -> dict[str, Any]:
    time = str(int(one.created * 1000))
    return {**one.document, "creationTime": time, "lastModifiedTime": time}


def _named(kind: str, found: Asked, path: str, reference: Mapping[str, str]) -> dict[str, Any]:
    link = f"https://bigquery.googleapis.com/bigquery/v2/{path}"
    return {"kind": f"bigquery#{kind}", "id": found.shown, "selfLink": link, f"{kind}Reference": dict(reference)}


def _short(told: Mapping[str, Any]) -> dict[str, Any]:
    """What a listing has of something."""
    left = ("kind", "id", "datasetReference", "tableReference", "labels", "friendlyName", "location", "type")
    return {name: told[name] for name in (*left, "creationTime") if name in told}


def _tagged(told: Mapping[str, Any]) -> dict[str, Any]:
    digest = hashlib.md5(json.dumps(told, sort_keys=True).encode()).digest()
    return {**told, "etag": base64.b64encode(digest).decode()}


def _selected(fields: list[dict[str, Any]], wanted: str) -> list[dict[str, Any]]:
    """The columns that a request asks for, in the table's order."""
    names = {one.strip().lower() for one in wanted.split(",") if one.strip()}
    known = {str(one["name"]).lower() for one in fields}
    for name in names - known:
        if "." in name:
            raise BigQueryError("notImplemented", f"The offline cloud selects whole columns only, not {name}.")
        raise BigQueryError("invalid", f"Invalid field name: {name}")
    return [one for one in fields if not names or str(one["name"]).lower() in names]


def _page(
    request: Request, found: list[Any], start: str = "", token: str = "nextPageToken"
) -> tuple[list[Any], dict[str, str]]:
    """A page, and the token of the next one in a member of the answer's."""
    given = request.query
    try:
        if given.get("pageToken"):
            begin = int(base64.urlsafe_b64decode(given["pageToken"]))
        else:
            begin = int(given.get(start) or 0) if start else 0
        size = int(given.get("maxResults") or _PAGE)
    except ValueError:
        raise BigQueryError("invalid", "Invalid page token, start index or number of results.") from None
    if begin < 0 or size < 0:
        raise BigQueryError("invalid", "The start index and the number of results must not be negative.")
    end = begin + min(size, _PAGE)
    more = {token: base64.urlsafe_b64encode(str(end).encode()).decode()} if end < len(found) else {}
    return found[begin:end], more
