"""What the whole emulated cloud shares: clock, faults, folders, projects, and the stores of its services."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from cloudops.offline.machines.addresses import Addresses

from .entries import Entries
from .hosting import Attendant
from .operations import Operations
from .projects import Projects
from .series import Series
from .storage.buckets import Buckets
from .store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from cloudops.offline.emulator import Surroundings


class Site:
    """The emulated cloud on this machine.

    Args:
        surroundings: clock, faults, folder, images.
        literal: whether ``/gcs`` is that very path inside a container; None: wherever this machine allows it.
        workers: how many jobs are driven at once; further ones wait in their first state.
    """

    def __init__(self, surroundings: Surroundings, *, literal: bool | None = None, workers: int | None = None) -> None:
        self.surroundings = surroundings
        self.clock = surroundings.clock
        self.faults = surroundings.faults
        self.projects = Projects()
        self.buckets = Buckets(surroundings.folder / "storage", self.clock)
        self.entries = Entries()
        self.series = Series()
        self.store = Store(self.clock.now, self.projects)
        self.operations = Operations(self.clock.now)
        self.addresses = Addresses()
        self._literal = literal
        self._workers = workers or max(8, 2 * (os.cpu_count() or 1))
        self._lock = threading.Lock()
        self._pool = self._new_pool()
        self.attendant = Attendant(self)
        #: Whether everything that runs is to end.
        self.closing = threading.Event()

    @property
    def folder(self) -> Path:
        """Where jobs and models have their folders."""
        return self.surroundings.folder / "running"

    @property
    def literal(self) -> bool:
        """Whether ``/gcs`` is that very path inside a container."""
        if self._literal is None:
            from cloudops.offline.machines.containers import namespaces_work

            from .containers import GCS

            self._literal = namespaces_work(GCS)
        return self._literal

    def access(self, project: str, account: str) -> dict[str, str]:
        """The variables by which a process in the cloud reaches it, as a service account (empty: the default one)."""
        return dict(self.surroundings.network)

    def drive(self, work: Callable[[], None]) -> Future[None]:
        """Have a worker call ``work`` once one is free, in the order of the calls."""
        with self._lock:
            return self._pool.submit(work)

    def end(self) -> None:
        """End everything that runs; returns when it has ended."""
        self.closing.set()
        self.clock.wake()
        for record in list(self.store.everything()):
            if record.live is not None:
                record.live.end()
        self.attendant.end()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def reset(self) -> None:
        """End everything that runs and forget all state."""
        self.end()
        self.store.clear()
        self.operations.clear()
        with self._lock:
            self._pool = self._new_pool()
            self.attendant = Attendant(self)
        self.buckets.reset()
        self.entries.reset()
        self.series.reset()
        self.closing.clear()

    def _new_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._workers, thread_name_prefix="vertex-job")
