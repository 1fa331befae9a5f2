"""Inference components: copies of a model on an endpoint whose variants have none; they can go down to zero copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .operations import invalid

if TYPE_CHECKING:
    from cloudops.offline.machines.fleets import Fleet

    from .instances import Instance
    from .region import Record

KIND = "inference-component"


#: Members of ComputeResourceRequirements that ask for what is not here.
_ACCELERATORS = ("NumberOfAcceleratorDevicesRequired", "AcceleratorPartitionType")


def component_size(needs: Mapping[str, Any], size: Instance) -> tuple[float, int]:
    """The cores and the bytes of memory that a copy gets of its instance.

    Raises:
        ServiceError: it asks for accelerators, or for more than an instance has.
    """
    for member in _ACCELERATORS:
        if needs.get(member):
            raise invalid(f"{member} is not emulated by the offline cloud, which has no accelerators")
    cpus = needs.get("NumberOfCpuCoresRequired", size.cores)
    least, most = needs["MinMemoryRequiredInMb"], needs.get("MaxMemoryRequiredInMb", size.memory >> 20)
    if least > most:
        raise invalid("MinMemoryRequiredInMb must not be more than MaxMemoryRequiredInMb.")
    if cpus > size.cores or most << 20 > size.memory:
        raise invalid(
            f"The inference component requires {cpus:g} CPU cores and up to {most} MB of memory; an instance of type "
            f"{size.name} has {size.cores} and {size.memory >> 20} MB."
        )
    return cpus, most << 20


class Component:
    """What drives the inference component of ``record``: ``fleet`` is its copies, ``count`` how many are desired."""

    def __init__(
        self, record: Record, variant: str, fleet: Fleet, count: int, specification: Mapping[str, Any]
    ) -> None:
        self.record, self.name = record, record.name
        self.variant, self.fleet, self.count, self.specification = variant, fleet, count, dict(specification)

    def describe(self) -> dict[str, Any]:
        """What DescribeInferenceComponent answers."""
        runtime = {"DesiredCopyCount": self.count, "CurrentCopyCount": self.fleet.ready()}
        return {**self.record.described, "RuntimeConfig": runtime}

    def end(self) -> None:
        """End all copies at once."""
        self.fleet.close(drain=False)
