"""Creates a job once, though the service gives each its own id and takes any display name twice.

An object that can be created once (``ifGenerationMatch=0``) is the claim on a name: whoever creates it submits, and
writes the job's resource name into it. See docs/decisions/0018-vertex-jobs-are-claimed-in-the-bucket.md.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cloudops.errors import Conflict, NotFound, Throttled, Unavailable

from .errors import is_kind, was_refused
from .storage import document

if TYPE_CHECKING:
    from .client import Client
    from .names import Place
    from .storage import Storage

Job = dict[str, Any]
#: Seconds that a claim without a job is another's; between it and the job are two calls. And between two looks.
LEASE, _LOOK = 20.0, 0.5
#: Seconds to wait before a creation is tried again whose answer was lost.
_AGAIN = (0.3, 1.0)


class Claims:
    """The claims of one client.

    Args:
        client: for its jobs and its clock.
        storage: of the bucket.
    """

    def __init__(self, client: Client, storage: Storage) -> None:
        self._client = client
        self._storage = storage

    def once(self, place: Place, find: Callable[[], Job | None], make: Callable[[], Job]) -> Job:
        """The job that has the claim at ``place``: made now, or by another submitter, or before.

        Args:
            place: of the claim.
            find: looks for the job by its labels.
            make: creates it.
        """
        generation = self._take(place, 0)
        while generation is None:
            found = self._another(place, find)
            if isinstance(found, dict):
                return found
            generation = found
        return self._made(place, generation, find, make)

    def _take(self, place: Place, over: int) -> int | None:
        """Claim, over that version of a claim; its generation, or None where another was faster."""
        content = json.dumps({"owner": uuid.uuid4().hex}).encode()
        try:
            return self._storage.put(place, content, if_generation=over)
        except Exception as error:
            if is_kind(error, Conflict):
                return None
            found = self._storage.read(place) if is_kind(error, Unavailable) else None
            if found is None or found.content != content:
                raise
            return found.generation  # it is ours: only the answer was lost

    def _another(self, place: Place, find: Callable[[], Job | None]) -> Job | int | None:
        """The job of another submitter; or the claim, taken over from one that never made it; None: look again."""
        seen, waited = 0, 0.0
        while (version := self._storage.read(place)) is not None:
            job = self._named(document(version.content)) or find()
            if job is not None:
                return job
            if "job" in document(version.content) or (version.generation == seen and waited >= LEASE):
                return self._take(place, version.generation)
            if version.generation != seen:
                seen, waited = version.generation, 0.0
            self._client.sleep(_LOOK)
            waited += _LOOK
        return self._take(place, 0)

    def _named(self, claim: Mapping[str, Any]) -> Job | None:
        """The job whose name is in a claim; None where none is, or it was deleted."""
        if "job" not in claim:
            return None
        try:
            return self._client.repeated(lambda: self._client.jobs.get(claim["job"]))
        except Exception as error:
            if is_kind(error, NotFound):
                return None
            raise

    def _made(self, place: Place, generation: int, find: Callable[[], Job | None], make: Callable[[], Job]) -> Job:
        job = find()  # one whose claim was lost, or that a submitter made which was killed then
        if job is not None:
            return self._recorded(place, generation, job, made=False)
        try:
            job = self._create(find, make)
        except BaseException:
            with suppress(Exception):  # the next submitter need not wait
                self._storage.delete(place, if_generation=generation)
            raise
        return self._recorded(place, generation, job, made=True)

    def _create(self, find: Callable[[], Job | None], make: Callable[[], Job]) -> Job:
        """Create the job. Where the answer was lost it may be there, and is looked for before it is made again."""
        for wait in _AGAIN:
            try:
                return make()
            except Exception as error:
                if not is_kind(error, Throttled, Unavailable):
                    raise
                refused = was_refused(error)
            self._client.sleep(wait)
            found = None if refused else find()
            if found is not None:
                return found
        return make()

    def _recorded(self, place: Place, generation: int, job: Job, *, made: bool) -> Job:
        """Write the job's name into the claim; where another has taken that over meanwhile, its job counts."""
        content = json.dumps({"job": job["name"]}).encode()
        try:
            self._storage.put(place, content, if_generation=generation)
            return job
        except Exception as error:
            if not is_kind(error, Conflict):
                return job  # it runs, and is found by its labels
        other = self._winner(place, job)
        if other is None or other["name"] == job["name"]:
            return job
        if made:
            self._withdraw(job)
        return other

    def _winner(self, place: Place, job: Job) -> Job | None:
        """The job of whoever took the claim over; None where there is no such claim any more."""
        waited = 0.0
        while waited < 2 * LEASE:
            version = self._storage.read(place)
            if version is None:
                return None
            claim = document(version.content)
            if claim.get("job") == job["name"]:
                return job
            found = self._named(claim)
            if found is not None:
                return found
            self._client.sleep(_LOOK)
            waited += _LOOK
        return None

    def _withdraw(self, job: Job) -> None:
        """End a job that is one too many."""
        with suppress(Exception):
            self._client.jobs.cancel(job["name"])
        with suppress(Exception):  # while it ends, only `cloudops down` can
            self._client.jobs.delete(job["name"])
