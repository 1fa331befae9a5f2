"""What the whole emulated cloud shares: clock, faults, folders, projects, and the stores of its services."""

from __future__ import annotations

import fnmatch
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from cloudops.offline.machines.addresses import Addresses

from .bigquery_store import Warehouse
from .entries import Entries
from .hosting import Attendant
from .metadata_server import Identity, MetadataListener, MetadataServer
from .operations import Operations
from .projects import Projects
from .secret_manager import Secrets
from .series import Series
from .storage.buckets import Buckets
from .store import Store
from .tokens import Tokens

if TYPE_CHECKING:
    from pathlib import Path

    from cloudops.offline.emulator import Surroundings


#: The service agent that custom code runs as, where it names no account.
_DEFAULT_ACCOUNT = "service-{number}@gcp-sa-aiplatform-cc.iam.gserviceaccount.com"


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
        self.tokens = Tokens()
        self.secrets = Secrets()
        self.warehouse = Warehouse(self.clock.now)
        self.store = Store(self.clock.now, self.projects)
        self.operations = Operations(self.clock.now)
        self.addresses = Addresses()
        #: Permissions that nobody has, as patterns (``aiplatform.*``); set by tests of refusals.
        self.denied: set[str] = set()
        self._literal = literal
        self._workers = workers or max(8, 2 * (os.cpu_count() or 1))
        self._lock = threading.Lock()
        self._listeners: dict[tuple[str, str], MetadataListener] = {}
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
        identity = (self.projects.id(project) or project, account or _DEFAULT_ACCOUNT.format(number=project))
        with self._lock:
            if identity not in self._listeners:
                server = MetadataServer(self.tokens, self.projects, Identity(*identity))
                self._listeners[identity] = MetadataListener(server)
            # An empty folder: nothing of the user's own configuration is to be seen.
            configuration = {"CLOUDSDK_CONFIG": str(self.folder / "gcloud")}
            return {**self.surroundings.network, **self._listeners[identity].variables(), **configuration}

    def may(self, permission: str) -> bool:
        """Whether callers have a permission."""
        return not any(fnmatch.fnmatchcase(permission, one) for one in self.denied)

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
        with self._lock:
            listeners, self._listeners = list(self._listeners.values()), {}
        for listener in listeners:
            listener.close()

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
        self.warehouse.reset()
        self.tokens.reset()
        self.secrets.reset()
        self.projects.reset()
        self.denied.clear()
        self.closing.clear()

    def _new_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._workers, thread_name_prefix="vertex-job")
