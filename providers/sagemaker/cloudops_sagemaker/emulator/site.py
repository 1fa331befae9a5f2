"""What all regions of the emulated cloud share: principals, workers that drive jobs, the machine's abilities."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

from cloudops.offline.machines.addresses import Addresses

from .region import ACCOUNT, Region

if TYPE_CHECKING:
    from cloudops.offline.emulator import Surroundings

#: The role that is there from the start; SageMaker may assume it.
ROLE = "cloudops-sagemaker"
#: The caller's throw-away credentials.
KEY_ID = "AKIAOFFLINECLOUDOPS0"


class Site:
    """The emulated cloud on this machine.

    Args:
        surroundings: clock, faults, folder, images.
        literal: whether ``/opt/ml`` is that very path inside a container; None: wherever this machine allows it.
        workers: how many jobs are driven at once; further ones wait in their first state.
    """

    def __init__(self, surroundings: Surroundings, *, literal: bool | None = None, workers: int | None = None) -> None:
        self.surroundings = surroundings
        self._literal = literal
        self._workers = workers or max(8, 2 * (os.cpu_count() or 1))
        self._lock = threading.RLock()
        self._regions: dict[tuple[str, str], Region] = {}
        self._principals: dict[str, str] = {}
        self.addresses = Addresses()
        self._pool = self._new_pool()
        #: Whether everything that runs is to end.
        self.closing = threading.Event()

    def region(self, name: str, account: str = ACCOUNT) -> Region:
        """The region of that name, made when it is first asked for."""
        with self._lock:
            if (account, name) not in self._regions:
                self._regions[account, name] = Region(self.surroundings, name, account, site=self)
            return self._regions[account, name]

    def regions(self) -> list[Region]:
        """Those that somebody has asked for."""
        with self._lock:
            return list(self._regions.values())

    @property
    def literal(self) -> bool:
        """Whether ``/opt/ml`` is that very path inside a container."""
        if self._literal is None:
            from cloudops.offline.machines.containers import namespaces_work

            from .containers import ML

            self._literal = namespaces_work(ML)
        return self._literal

    def drive(self, work: Callable[[], None]) -> Future[None]:
        """Have a worker call ``work`` once one is free, in the order of the calls."""
        with self._lock:
            return self._pool.submit(work)

    def introduce(self, key_id: str, principal: str) -> None:
        """Note whose credentials have that access key id."""
        with self._lock:
            self._principals[key_id] = principal

    def principal(self, key_id: str) -> str:
        """``caller``, or the ARN of the role whose credentials those are."""
        return self._principals.get(key_id, "caller")

    def reset(self) -> None:
        """End everything that runs and forget all regions."""
        self.end()
        with self._lock:
            self._regions.clear()
            self._principals.clear()
            self._pool = self._new_pool()
        self.closing.clear()

    def end(self) -> None:
        """End everything that runs; returns when it has ended."""
        self.closing.set()
        self.surroundings.clock.wake()
        for region in self.regions():
            for part in list(region.attached.values()):
                part.end()
            for kind in region.kinds():
                for record in region.all(kind):
                    if record.live is not None:
                        record.live.end()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _new_pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._workers, thread_name_prefix="sagemaker-job")
