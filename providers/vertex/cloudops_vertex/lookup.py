"""Finds custom jobs by what their labels say: the service gives each an id of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cloudops.errors import NotFound

from . import names
from .errors import is_kind
from .names import Layout
from .statuses import seconds
from .storage import document

if TYPE_CHECKING:
    from .client import Client
    from .storage import Storage

Job = dict[str, Any]
#: What listings ask for of each job.
_FIELDS = "name,state,error,create_time,labels"


class Lookup:
    """Jobs of one project and location; remembers what the service calls those that it has seen."""

    def __init__(self, client: Client, storage: Storage) -> None:
        self._client = client
        self._storage = storage
        self._resources: dict[str, str] = {}

    def find(self, name: str) -> Job | None:
        """The job of that name by its labels, or None; one call."""
        found = self.listed(f'labels.{names.NAME}="{names.label(name)}"')
        if not found:
            return None
        return self.remember(name, found[0] if len(found) == 1 else self._first(name, found))

    def described(self, name: str) -> Job | None:
        """The job of that name as it is now; by what the service calls it, where that is known."""
        known = self._resources.get(name)
        job = self.resource(known) if known is not None else None
        if job is None:
            self._resources.pop(name, None)
            return self.find(name)
        return job

    def resource(self, resource: str) -> Job | None:
        """The job that the service calls so, or None."""
        try:
            return self._client.repeated(lambda: self._client.jobs.get(resource))
        except Exception as error:
            if is_kind(error, NotFound):
                return None
            raise

    def remember(self, name: str, job: Job) -> Job:
        """Know what the service calls the job of a name."""
        self._resources[name] = str(job["name"])
        return job

    def listed(self, wanted: str, fields: str = "") -> list[Job]:
        """The jobs that match a filter, in the service's order."""
        return self._client.repeated(lambda: list(self._client.jobs.list(wanted, fields=fields)))

    def of_project(self, project: str | None) -> Iterator[Job]:
        """The jobs of a cloudops project, or of all of them, newest first; no more than a listing shows of each."""
        wanted = f"labels.{names.NAME}:*" if project is None else f'labels.{names.PROJECT}="{names.label(project)}"'
        yield from sorted(
            self.listed(wanted, _FIELDS), key=lambda job: seconds(job.get("createTime")) or 0, reverse=True
        )

    def of_intent(self, name: str) -> Mapping[int, Job]:
        """The jobs of one intent by the number of the try."""
        pattern, found = names.tries(name), {}
        for job in self.listed(f'labels.{names.BASE}="{names.label(names.base_of(name))}"', _FIELDS):
            if match := pattern.fullmatch(job["labels"][names.NAME]):
                found[int(match[1] or 1)] = job
        return dict(sorted(found.items()))

    def _first(self, name: str, found: list[Job]) -> Job:
        """Of several jobs of one name that which the claim names, else the oldest.

        There can be two where a submitter was taken for dead; the later one is ended by it, if it lives.
        """
        match = names.any_job(name)
        place = Layout.of(self._client.bucket, self._client.settings.prefix, match[0] if match else "").claim(name)
        claimed = document(self._storage.get(place) or b"{}").get("job")
        named = [job for job in found if job["name"] == claimed]
        return min(named or found, key=lambda job: (job.get("createTime", ""), job["name"]))
