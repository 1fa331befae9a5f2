"""Names of resources: ``projects/P/locations/L/customJobs/ID``."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from .protocol.errors import ServiceError, refused

_NAME = re.compile(r"projects/(?P<project>[^/]+)/locations/(?P<location>[^/]+)(?P<rest>(?:/[^/]+/[^/]+)*)")
_PROJECT = re.compile(r"[a-z][a-z0-9-]{4,28}[a-z0-9]|\d+|[a-z0-9.-]+:[a-z][a-z0-9-]{4,28}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class Name:
    """A name in its parts; ``path`` holds collections and ids in turn, and is empty for a location."""

    project: str
    location: str
    path: tuple[str, ...]

    @property
    def parent(self) -> str:
        """The name of what it lies in."""
        return str(Name(self.project, self.location, self.path[:-2]))

    @property
    def kind(self) -> str:
        """The collection that it is of, such as ``customJobs``."""
        return self.path[-2] if self.path else "locations"

    @property
    def id(self) -> str:
        """Within its collection."""
        return self.path[-1] if self.path else self.location

    def with_project(self, project: str) -> Name:
        """The same with another name of the project."""
        return Name(project, self.location, self.path)

    def child(self, kind: str, identifier: str) -> Name:
        """Something in it."""
        return Name(self.project, self.location, (*self.path, kind, identifier))

    def __str__(self) -> str:
        return "/".join(("projects", self.project, "locations", self.location, *self.path))


def parse(name: str, field: str = "name") -> Name:
    """The parts of ``name``, which the request had in ``field``.

    Raises:
        ServiceError: INVALID_ARGUMENT: it is none.
    """
    found = _NAME.fullmatch(name)
    if found is None or not _PROJECT.fullmatch(found["project"]):
        raise refused([(field, f"Invalid resource name {name!r}.")])
    return Name(found["project"], found["location"], tuple(found["rest"].split("/")[1:]))


def new_id() -> str:
    """An id as the service gives them: 19 digits."""
    return str(10**18 + secrets.randbelow(8 * 10**18))


def not_a_name(kind: str, field: str = "name") -> ServiceError:
    """The service's error for an id that none of its ``kind`` (``CustomJob``) could have."""
    return refused([(field, f"Invalid {kind} resource name.")])
