"""Calls of the services around Vertex AI, as REST brings them, without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cloudops_vertex.emulator.methods import Call, handler
from cloudops_vertex.emulator.protocol import behaviour, requests, routes
from cloudops_vertex.emulator.site import Site

from cloudops.offline.clock import Clock
from cloudops.offline.emulator import Surroundings
from cloudops.offline.faults import Faults

PROJECT = "example-project"
LOGGING, MONITORING = "google.logging.v2", "google.monitoring.v3"
RESOURCES = "google.cloud.resourcemanager.v3"


def new_site(folder: Path, clock: Clock | None = None) -> Site:
    """A site with nothing in it."""
    clock = clock or Clock()
    return Site(Surroundings(folder, clock, Faults(), {}))


def rest(site: Site, package: str, verb: str, url: str, body: Any = None) -> Any:
    """The answer to a request, as JSON."""
    parts = urlsplit(url)
    matched = routes.match(verb, parts.path, package)
    assert matched is not None, url
    query = parse_qs(parts.query)
    request = requests.read(matched, query, json.dumps(body).encode() if body is not None else b"")
    behaviour.check_required(request)
    method = matched.route.method
    function = handler(method)
    assert function is not None, method.full_name
    answer = function(Call(site, method, "me@example.com"), request)
    assert answer.DESCRIPTOR is method.output_type
    return requests.write(answer, numbers=requests.enums_as_numbers(query))
