"""Which method a request over REST calls: by the ``google.api.http`` rules of the descriptors."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from google.protobuf.descriptor import MethodDescriptor

from .pool import methods, option

_VARIABLE = re.compile(r"\{([\w.]+)(?:=([^}]*))?\}")


@dataclass(frozen=True, slots=True)
class Route:
    """A rule of a method.

    Args:
        method: of a service.
        verb: of HTTP.
        pattern: of the path; its groups are the variables in their order.
        variables: paths of fields that are in the path.
        body: the field that the body is; ``*`` for the whole request, empty for none.
    """

    method: MethodDescriptor
    verb: str
    pattern: re.Pattern[str]
    variables: tuple[str, ...]
    body: str


@dataclass(frozen=True, slots=True)
class Matched:
    """A route that a request takes, and the values of its variables."""

    route: Route
    values: Mapping[str, str]


def match(verb: str, path: str, package: str = "") -> Matched | None:
    """The route for a verb and a path, which may be quoted; None where there is none.

    Args:
        verb: of HTTP.
        path: without the query.
        package: the API that the host stands for, one of :data:`.pool.PACKAGES`; empty for any.
    """
    for route in _routes(package).get(verb, ()):
        found = route.pattern.fullmatch(path)
        if found is not None:
            return Matched(route, dict(zip(route.variables, map(unquote, found.groups()), strict=True)))
    return None


@functools.cache
def _routes(package: str) -> Mapping[str, list[Route]]:
    """By verb, those with the longest fixed text first: ``:predict`` before a name that could end so."""
    found: dict[str, list[Route]] = {}
    for method in methods(package):
        for route in _rules(method):
            found.setdefault(route.verb, []).append(route)
    for routes in found.values():
        routes.sort(key=lambda route: -len(route.pattern.pattern))
    return found


def _rules(method: MethodDescriptor) -> Iterator[Route]:
    rule = option(method, "google.api.http")
    for one in [] if rule is None else [rule, *rule.additional_bindings]:
        verb = str(one.WhichOneof("pattern"))
        template = one.custom.path if verb == "custom" else getattr(one, verb)
        kind = one.custom.kind if verb == "custom" else verb
        yield Route(method, kind.upper(), _pattern(template), _variables(template), one.body)


def _variables(template: str) -> tuple[str, ...]:
    return tuple(found[1] for found in _VARIABLE.finditer(template))


def _pattern(template: str) -> re.Pattern[str]:
    """A template of a path as a regular expression: ``*`` is one segment, ``**`` any number."""
    made, last = "", 0
    for found in _VARIABLE.finditer(template):
        made += _segments(template[last : found.start()]) + f"({_segments(found[2] or '*')})"
        last = found.end()
    return re.compile(made + _segments(template[last:]))


def _segments(text: str) -> str:
    parts: Any = re.split(r"(\*\*|\*)", text)
    return "".join({"**": ".+", "*": "[^/:]+"}.get(part, re.escape(part)) for part in parts)
