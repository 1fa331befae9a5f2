"""The files of a job's folder, and how its state is kept: readable at any time, and writable on a full disk."""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .files import read_json, write_json
from .job_types import JobSpec, JobState

#: Longest reason that is kept, so that the last state of a job fits into the space that its first one reserved.
REASON_LIMIT = 1000

_PAGE = 4096


class DamagedState(ValueError):
    """``state.json`` does not hold a state."""


@dataclass(frozen=True)
class JobFolder:
    """The files of a job.

    ``lock`` is held by the supervisor as long as it lives; ``guard`` by whoever changes the state in its place.
    """

    path: Path

    @property
    def lock(self) -> Path:
        """Held by the supervisor."""
        return self.path / "lock"

    @property
    def guard(self) -> Path:
        """Held while a job is started, or found dead."""
        return self.path / "guard"

    @property
    def logs(self) -> Path:
        """The folder of the logs, one file for each rank."""
        return self.path / "logs"

    @property
    def metrics(self) -> Path:
        """The metrics, one JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def supervisor_log(self) -> Path:
        """What the supervisor itself has to say."""
        return self.path / "supervisor.log"

    def log(self, rank: int) -> Path:
        """The log of a rank."""
        return self.logs / f"rank-{rank}.log"

    def write_spec(self, spec: JobSpec) -> None:
        """Keep the spec. Raises OSError."""
        write_json(self._spec, asdict(spec))

    def read_spec(self) -> JobSpec | None:
        """The spec, or None where there is no job. Raises ValueError where it is damaged."""
        value = read_json(self._spec)
        return None if value is None else JobSpec.from_json(value)

    def has_job(self) -> bool:
        """Whether a job was started here."""
        return self._spec.exists()

    def write_state(self, state: JobState) -> None:
        """Replace the state; over the old one where the disk has no room for a new file.

        Raises:
            OSError: neither was possible.
        """
        state = replace(state, reason=state.reason[:REASON_LIMIT], warning=state.warning[:REASON_LIMIT])
        data = json.dumps(asdict(state)).encode()
        # Whole pages: a later, shorter state then overwrites this one without asking the disk for room.
        data = data.ljust(-(-len(data) // _PAGE) * _PAGE)
        try:
            self._replace_state(data)
        except OSError as error:
            try:
                self._overwrite_state(data)
            except FileNotFoundError:
                raise error from None

    def read_state(self) -> JobState | None:
        """The state, or None where there is none.

        Raises:
            DamagedState: the file holds something else, and not only for the moment of being overwritten.
        """
        for patience in (0.005, 0.02, 0.05, 0):
            try:
                return JobState.from_json(json.loads(self._state.read_bytes()))
            except FileNotFoundError:
                return None
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                problem = error
            time.sleep(patience)
        raise DamagedState(f"{self._state} is damaged ({problem})")

    def forget(self) -> None:
        """Remove a job that did not come to be."""
        for path in (self._spec, self._state):
            path.unlink(missing_ok=True)

    @property
    def _spec(self) -> Path:
        return self.path / "job.json"

    @property
    def _state(self) -> Path:
        return self.path / "state.json"

    def _replace_state(self, data: bytes) -> None:
        temporary = self._state.with_name(f".state.{os.getpid()}.tmp")
        try:
            temporary.write_bytes(data)
            os.replace(temporary, self._state)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def _overwrite_state(self, data: bytes) -> None:
        descriptor = os.open(self._state, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(descriptor, data.ljust(os.fstat(descriptor).st_size), 0)
        finally:
            os.close(descriptor)
