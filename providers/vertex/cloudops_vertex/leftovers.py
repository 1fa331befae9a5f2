"""What was begun and never came to be, or was deleted in part: a folder in the bucket without its job or endpoint.

The folder is the first thing that is made and the last that goes, so it is what a client that was killed in between is
found by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from cloudops.refs import Listed, Phase

from . import names, secrets
from .names import Layout, Place

if TYPE_CHECKING:
    from .client import Client
    from .storage import Storage


#: An object in a job's folder that says that there may be a secret of it.
MARK = "secret"


class Leftovers:
    """Those in the bucket of a target."""

    def __init__(self, client: Client, storage: Storage) -> None:
        self._client = client
        self._storage = storage

    def jobs(self, project: str, exists: Callable[[str], bool]) -> Iterator[Listed]:
        """Jobs of a project that left a folder only; ``exists`` tells whether there is one of a name."""
        for name in self._storage.prefixes(self._layout(project).jobs):
            if (match := names.any_job(name)) and not exists(name):
                yield Listed(self._client.ref("jobs", name), Phase.FAILED, None, project, match[1])

    def remove_job(self, name: str) -> None:
        """Delete what a job without a job has left; silent where that is nothing."""
        match = names.any_job(name)
        folder = self._layout(match[0]).job(name) if match else None
        if folder is not None and self._storage.holds(folder):
            if self._storage.size(folder / MARK) is not None:
                secrets.delete(self._client, name)
            self._storage.delete_all(folder)

    def endpoints(self, project: str, exists: Callable[[str], bool]) -> Iterator[Listed]:
        """Endpoints of a project that left a folder only; ``exists`` tells whether there is one of a name."""
        for name in self._storage.prefixes(self._layout(project).endpoints):
            if not exists(name):
                yield Listed(self._client.ref("endpoints", name), Phase.FAILED, None, project)

    def endpoint_folders(self, name: str) -> set[Place]:
        """What an endpoint of that name has left, whatever project it was of."""
        root = Place(self._client.bucket, self._client.settings.prefix)
        found = {self._layout(project).endpoint(name) for project in self._storage.prefixes(root)}
        return {place for place in found if self._storage.holds(place)}

    def _layout(self, project: str) -> Layout:
        return Layout.of(self._client.bucket, self._client.settings.prefix, project)
