"""Ends jobs, and deletes them with what they left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudops.errors import Conflict, NotFound

from . import jobs, names, secrets
from .errors import is_kind
from .leftovers import Leftovers
from .statuses import job_phase, phase_of

if TYPE_CHECKING:
    from cloudops.refs import Ref

    from .client import Client
    from .lookup import Job, Lookup
    from .storage import Storage

#: Seconds within which a job that is told to stop has ended, or one that is deleted is gone; between two looks.
_ENDING, _LOOK = 600.0, 5.0


class Ending:
    """For the jobs of one client."""

    def __init__(self, client: Client, storage: Storage, lookup: Lookup) -> None:
        self._client = client
        self._storage = storage
        self._lookup = lookup
        self._leftovers = Leftovers(client, storage)

    def stop(self, job: Job) -> None:
        """Ask a job to end; silent when it has."""
        if phase_of(job).final:
            return
        try:
            self._client.repeated(lambda: self._client.jobs.cancel(job["name"]))
        except Exception as error:
            if not is_kind(error, Conflict, NotFound):  # it has ended meanwhile
                raise

    def delete(self, ref: Ref) -> None:
        """Delete a job, its model, outputs, secret, and the checkpoints that no other try of its intent has."""
        job = self._lookup.described(ref.id)
        if job is None:
            self._leftovers.remove_job(ref.id)
            return
        job = self._ended(ref, job)
        if job is None:
            return
        if jobs.SECRET in job.get("labels", {}):
            secrets.delete(self._client, ref.id)
        if not self._shared(ref.id, job):
            self._storage.delete_all(jobs.checkpoints(job))
        self._remove(ref, job)
        self._storage.delete_all(jobs.folder(job))
        other = self._lookup.find(ref.id)  # see docs/decisions/0018-vertex-jobs-are-claimed-in-the-bucket.md
        if other is not None and other["name"] != job["name"]:
            self.delete(ref)

    def _ended(self, ref: Ref, job: Job | None) -> Job | None:
        """Stop a job and wait until it has ended; None when another client deleted it meanwhile."""
        waited, wait, stopped = 0.0, 0.1, False
        while job is not None and not job_phase(job["state"]).final:
            if not stopped:
                self.stop(job)
                stopped = True
            if waited > _ENDING:
                text = f"{ref.id} does not end: it is {job['state']} after {_ENDING:g} s"
                raise Conflict(text, provider="vertex", ref=ref, hint="delete it again")
            self._client.sleep(wait)
            waited, wait = waited + wait, min(_LOOK, wait * 1.5)
            job = self._lookup.described(ref.id)
        return job

    def _remove(self, ref: Ref, job: Job) -> None:
        """Have the service delete a job, and wait until it has: the operation goes on by itself."""
        try:
            self._client.repeated(lambda: self._client.jobs.delete(job["name"]))
        except Exception as error:
            if not is_kind(error, NotFound) and self._lookup.resource(job["name"]) is not None:
                raise
        waited, wait = 0.0, 0.1
        while self._lookup.resource(job["name"]) is not None:
            if waited > _ENDING:
                text = f"{ref.id} is still there {_ENDING:g} s after it was deleted"
                raise Conflict(text, provider="vertex", ref=ref, hint="delete it again")
            self._client.sleep(wait)
            waited, wait = waited + wait, min(_LOOK, wait * 1.5)

    def _shared(self, name: str, job: Job) -> bool:
        """Whether another try than ``name`` of its intent has the same checkpoints."""
        own = job["labels"].get(names.CHECKPOINT)
        others = self._lookup.of_intent(names.base_of(name)).values()
        return any(
            other["labels"].get(names.CHECKPOINT) == own for other in others if other["labels"][names.NAME] != name
        )
