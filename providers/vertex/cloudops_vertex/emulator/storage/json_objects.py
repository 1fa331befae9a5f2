"""The JSON API's operations on objects that are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from . import conditions
from .answer import Answer, of_json
from .conditions import Conditions
from .errors import Invalid, NotEmulated, NotFound, Required
from .listing import LARGEST, Wanted, after, page, token
from .media import download
from .request import Request
from .resources import object_fields, of_object
from .service import Service, handles
from .things import Object

_MOST_SOURCES = 32


@handles("objects.get")
def get(service: Service, request: Request) -> Answer:
    """Show one, or give its bytes where ``alt=media`` asks for them."""
    if request.query.get("softDeleted", "").lower() == "true":
        raise NotEmulated("soft deletion")
    wanted = conditions.of_query(request.query, request.headers)
    if request.query.get("alt") == "media":
        return download(service, request, wanted)
    found = service.buckets.get(request.route.bucket, request.route.name, request.generation)
    wanted.check(found, reading=True)
    return _shown(request, found)


@handles("objects.list")
def list_(service: Service, request: Request) -> Answer:
    """Show those of a bucket, a page at a time."""
    query = request.query
    for name, what in (("softDeleted", "soft deletion"), ("includeFoldersAsPrefixes", "managed folders")):
        if query.get(name, "").lower() == "true":
            raise NotEmulated(what)
    wanted = Wanted(
        prefix=query.get("prefix", ""),
        delimiter=query.get("delimiter", ""),
        trailing=query.get("includeTrailingDelimiter", "").lower() == "true",
        start=query.get("startOffset", ""),
        end=query.get("endOffset", ""),
        glob=query.get("matchGlob", ""),
        limit=request.number("maxResults") or LARGEST,
        after=after(query["pageToken"]) if query.get("pageToken") else "",
    )
    # Only a first page looks at the files: the pages of a long list would look at all of them time and again.
    found = page(service.buckets.list(request.route.bucket, wanted.prefix, look=not wanted.after), wanted)
    answer: dict[str, Any] = {"kind": "storage#objects"}
    if found.last:
        answer["nextPageToken"] = token(found.last)
    if found.prefixes:
        answer["prefixes"] = found.prefixes
    if found.items:
        answer["items"] = [of_object(one, request.base) for one in found.items]
    return of_json(answer, query.get("fields"))


@handles("objects.patch")
def patch(service: Service, request: Request) -> Answer:
    """Change fields."""
    body = request.json()
    return _changed(service, request, lambda fields: object_fields(body, fields))


@handles("objects.update")
def update(service: Service, request: Request) -> Answer:
    """Replace all fields."""
    body = request.json()
    return _changed(service, request, lambda fields: object_fields(body, {}))


@handles("objects.delete")
def delete(service: Service, request: Request) -> Answer:
    """Remove one."""
    wanted = conditions.of_query(request.query, request.headers)
    service.buckets.delete(request.route.bucket, request.route.name, request.generation, wanted)
    return Answer(204)


@handles("objects.compose")
def compose(service: Service, request: Request) -> Answer:
    """Put one together of others."""
    body = request.json()
    sources, destination = body.get("sourceObjects") or [], body.get("destination") or {}
    if not sources:
        raise Required("sourceObjects")
    if not isinstance(destination, dict) or not isinstance(sources, list) or not all(map(_is_source, sources)):
        raise Invalid("Invalid value for sourceObjects or destination.")
    if len(sources) > _MOST_SOURCES:
        text = f"The number of source components provided ({len(sources)}) exceeds the maximum ({_MOST_SOURCES})"
        raise Invalid(text)
    if body.get("deleteSourceObjects"):
        raise NotEmulated("sources that are deleted when they were composed")
    fields = object_fields(destination, {})
    wanted = conditions.of_query(request.query, request.headers)
    bucket, name = request.route.bucket, request.route.name
    service.bucket(request)
    for source in sources:
        _check_source(service, bucket, source)
    made = service.buckets.compose(bucket, name, [_source(source) for source in sources], fields, wanted)
    return _shown(request, made)


@handles("objects.copy")
def copy(service: Service, request: Request) -> Answer:
    """Copy one."""
    return _shown(request, _copied(service, request))


@handles("objects.rewrite")
def rewrite(service: Service, request: Request) -> Answer:
    """Copy one; all of it, whatever its size, in one call."""
    if request.query.get("rewriteToken"):
        raise Invalid("Invalid rewrite token.", "rewriteToken")
    made = _copied(service, request)
    answer = {
        "kind": "storage#rewriteResponse",
        "totalBytesRewritten": str(made.size),
        "objectSize": str(made.size),
        "done": True,
        "resource": of_object(made, request.base),
    }
    return of_json(answer, request.query.get("fields"))


@handles("objects.move")
def move(service: Service, request: Request) -> Answer:
    """Give one another name."""
    wanted = conditions.of_query(request.query, request.headers)
    source = conditions.of_source(request.query)
    route = request.route
    return _shown(request, service.buckets.move(route.bucket, route.name, route.target[1], wanted, source))


def _copied(service: Service, request: Request) -> Object:
    body, route = request.json(), request.route
    return service.buckets.copy(
        (route.bucket, route.name, request.number("sourceGeneration")),
        route.target,
        fields=object_fields(body, {}) if body else None,
        conditions=conditions.of_query(request.query, request.headers),
        source_conditions=conditions.of_source(request.query),
    )


def _check_source(service: Service, bucket: str, source: Mapping[str, Any]) -> None:
    name, generation, _ = _source(source)
    try:
        service.buckets.get(bucket, name, generation)
    except NotFound:
        raise NotFound(f"Object {name} (generation: {generation or 0}) not found.") from None


def _is_source(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("objectPreconditions") or {}, dict)


def _source(source: Mapping[str, Any]) -> tuple[str, int | None, Conditions]:
    name, generation = str(source.get("name") or ""), source.get("generation")
    if not name:
        raise Required("sourceObjects.name")
    match = (source.get("objectPreconditions") or {}).get("ifGenerationMatch")
    return name, _integer(generation), Conditions(generation_match=_integer(match))


def _integer(value: Any) -> int | None:
    try:
        return None if value is None else int(value)
    except (TypeError, ValueError):
        raise Invalid(f"Invalid generation: {value}") from None


def _changed(service: Service, request: Request, change: Any) -> Answer:
    wanted = conditions.of_query(request.query, request.headers)
    wanted = replace(wanted, etag_not_match=())
    route = request.route
    return _shown(request, service.buckets.change(route.bucket, route.name, change, request.generation, wanted))


def _shown(request: Request, found: Object) -> Answer:
    return of_json(of_object(found, request.base), request.query.get("fields"))
