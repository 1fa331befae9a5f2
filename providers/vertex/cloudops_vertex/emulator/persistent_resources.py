"""PersistentResources: machines that stay, on which custom jobs run without waiting for new ones."""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import crud
from .crud import Kind
from .machine_types import check_machine
from .methods import Call, implements
from .names import Name
from .protocol.errors import ServiceError, refused
from .store import Record, shown, stamp

if TYPE_CHECKING:
    from .site import Site

KIND = Kind(
    "PersistentResource",
    "persistentResources",
    ("display_name", "labels", "resource_pools"),
    ids=re.compile(r"[a-z](?:[a-z0-9-]{0,126}[a-z0-9])?"),
    missing="The PersistentResource {own} does not exist.",
)
_NOT_EMULATED = ("psc_interface_config", "resource_runtime_spec")


class Machines:
    """The machines of a persistent resource, and who uses them.

    Args:
        pools: for each pool, what its machine is and how many there are.
    """

    def __init__(self, pools: Sequence[tuple[bytes, int]]) -> None:
        self._lock = threading.Lock()
        self._pools = [(kind, count) for kind, count in pools]
        self._used: dict[str, list[int]] = {}

    def end(self) -> None:
        """Nothing runs by itself."""

    def resize(self, counts: Sequence[int]) -> None:
        """Have so many machines in each pool."""
        with self._lock:
            self._pools = [(kind, count) for (kind, _), count in zip(self._pools, counts, strict=True)]

    def fits(self, wanted: Sequence[tuple[bytes, int]]) -> bool:
        """Whether a job with such pools could ever run."""
        with self._lock:
            return self._chosen(wanted, [count for _, count in self._pools]) is not None

    def take(self, job: str, wanted: Sequence[tuple[bytes, int]]) -> bool:
        """Have a job use the machines that it wants; False where they are in use."""
        with self._lock:
            used = self._sums()
            found = self._chosen(wanted, [count - taken for (_, count), taken in zip(self._pools, used, strict=True)])
            if found is None:
                return False
            self._used[job] = found
            return True

    def give_back(self, job: str) -> None:
        """Have a job use none any more."""
        with self._lock:
            self._used.pop(job, None)

    def used(self) -> list[int]:
        """How many of each pool are in use."""
        with self._lock:
            return self._sums()

    @property
    def busy(self) -> bool:
        """Whether any job uses any."""
        with self._lock:
            return bool(self._used)

    def _sums(self) -> list[int]:
        return [sum(one[number] for one in self._used.values()) for number in range(len(self._pools))]

    def _chosen(self, wanted: Sequence[tuple[bytes, int]], left: list[int]) -> list[int] | None:
        """How many machines of each pool a job gets where so many are ``left``; None where they are not enough."""
        chosen = [0] * len(self._pools)
        for kind, count in wanted:
            for number, (own, _) in enumerate(self._pools):
                if own == kind and left[number] >= count:
                    left[number] -= count
                    chosen[number] += count
                    break
            else:
                return None
        return chosen


def machine_of(spec: Any) -> bytes:
    """What tells one kind of machine from another: its MachineSpec."""
    return bytes(spec.SerializeToString(deterministic=True))


def machines(site: Site, job: Record) -> Machines | None:
    """The machines of the persistent resource that a job is to run on; None where it names none.

    Raises:
        ServiceError: NOT_FOUND: there is no such resource.
    """
    identifier = job.message.job_spec.persistent_resource_id
    if not identifier:
        return None
    name = Name(job.name.project, job.name.location, (KIND.collection, identifier))
    record = site.store.find(name)
    if record is None:
        raise ServiceError("NOT_FOUND", KIND.missing.format(own=name))
    found: Machines = record.live
    return found


@implements("PersistentResourceService.CreatePersistentResource")
def create(call: Call, request: Any) -> Any:
    """Machines that are there at once."""
    message = crud.prepared(call, KIND, request)
    given = {field.name for field, _ in message.ListFields()}
    if left := sorted(given.intersection(_NOT_EMULATED)):
        raise ServiceError("UNIMPLEMENTED", f"Not emulated by the offline cloud: persistent_resource.{left[0]}.")
    _check(message)
    with call.site.store.lock:
        name = crud.place(call, KIND, request.parent, request.persistent_resource_id)
        record = call.site.store.add(name, message)
        revive(record)
        message.state = _state(message, "RUNNING")
        stamp(message.start_time, call.site.clock.now())
        begun = call.site.operations.begin(call, name, "CreatePersistentResourceOperationMetadata")
        call.site.operations.finish(begun.name, shown(message, call.version))
    return begun


def revive(record: Record) -> None:
    """Have a resource have its machines."""
    pools = [(machine_of(one.machine_spec), one.replica_count) for one in record.message.resource_pools]
    record.live = Machines(pools)


@implements("PersistentResourceService.GetPersistentResource")
def get(call: Call, request: Any) -> Any:
    """The machines, and how many are in use."""
    with call.site.store.lock:
        return shown(_told(crud.find(call, KIND, request.name)), call.version)


@implements("PersistentResourceService.ListPersistentResources")
def list_resources(call: Call, request: Any) -> Any:
    """A page of them."""
    with call.site.store.lock:
        for one in call.site.store.all(KIND.collection):
            _told(one)
    return crud.list_all(call, KIND, request, "persistent_resources")


@implements("PersistentResourceService.UpdatePersistentResource")
def update(call: Call, request: Any) -> Any:
    """Change labels, or how many machines there are."""

    def check(record: Record, future: Any) -> None:
        _check(future)
        before, now = record.message.resource_pools, future.resource_pools
        if [machine_of(one.machine_spec) for one in before] != [machine_of(one.machine_spec) for one in now]:
            raise refused([("update_mask", "The machines of a PersistentResource cannot be changed.")])

    record = crud.update(call, KIND, request, check)
    record.live.resize([one.replica_count for one in record.message.resource_pools])
    begun = call.site.operations.begin(call, record.name, "UpdatePersistentResourceOperationMetadata")
    return call.site.operations.finish(begun.name, shown(record.message, call.version))


@implements("PersistentResourceService.DeletePersistentResource")
def delete(call: Call, request: Any) -> Any:
    """Give machines back that no job uses."""
    with call.site.store.lock:
        record = crud.find(call, KIND, request.name)
        if record.live.busy:
            text = f"The PersistentResource {record.name} is in use by jobs; cancel them first."
            raise ServiceError("FAILED_PRECONDITION", text)
        return crud.delete(call, record)


def _told(record: Record) -> Any:
    for pool, used in zip(record.message.resource_pools, record.live.used(), strict=True):
        pool.used_replica_count = used
    return record.message


def _check(message: Any) -> None:
    for number, pool in enumerate(message.resource_pools):
        field = f"persistent_resource.resource_pools[{number}]"
        check_machine(pool.machine_spec, f"{field}.machine_spec", "custom_model_training")
        if pool.HasField("autoscaling_spec"):
            raise ServiceError("UNIMPLEMENTED", f"Not emulated by the offline cloud: {field}.autoscaling_spec.")
        if pool.replica_count < 1:
            raise refused([(f"{field}.replica_count", "The replica count must be at least 1.")])
        pool.id = pool.id or f"pool-{number}"


def _state(message: Any, name: str) -> int:
    return int(message.DESCRIPTOR.fields_by_name["state"].enum_type.values_by_name[name].number)
