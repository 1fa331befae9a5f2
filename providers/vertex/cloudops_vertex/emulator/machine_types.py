"""The machine types that jobs and models may ask for: cores and memory, as Compute Engine lists them."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from .protocol.errors import ServiceError

#: GB of memory for each core, by family and shape.
_MEMORY = {
    "n1-standard": 3.75,
    "n1-highmem": 6.5,
    "n1-highcpu": 0.9,
    "n2-standard": 4.0,
    "n2-highmem": 8.0,
    "n2-highcpu": 1.0,
    "n2d-standard": 4.0,
    "n2d-highmem": 8.0,
    "n2d-highcpu": 1.0,
    "e2-standard": 4.0,
    "e2-highmem": 8.0,
    "e2-highcpu": 1.0,
    "c2-standard": 4.0,
    "c2d-standard": 4.0,
    "c2d-highmem": 8.0,
    "c2d-highcpu": 2.0,
    "c3-standard": 4.0,
    "c3-highmem": 8.0,
    "c3-highcpu": 2.0,
    "t2d-standard": 4.0,
}
_TYPE = re.compile(r"([a-z]\w*-(?:standard|highmem|highcpu))-(\d{1,3})")
_ACCELERATED = re.compile(r"(a2|a3|a4|a4x|g2|g4|ct\w*|cloud-tpu)(-.*)?")
#: Machines of one type that a project may use at once.
LIMIT = 1000


@dataclass(frozen=True)
class MachineType:
    """A machine type; ``memory`` in bytes."""

    name: str
    cores: int
    memory: int


@functools.cache
def machine_type(name: str) -> MachineType | None:
    """The machine type of that name, None where this table does not have it (one with an accelerator, say)."""
    found = _TYPE.fullmatch(name)
    if found is None or found[1] not in _MEMORY or not int(found[2]):
        return None
    return MachineType(name, int(found[2]), int(int(found[2]) * _MEMORY[found[1]] * 2**30))


def check_machine(spec: object, field: str, quota: str) -> MachineType:
    """The machine type of a MachineSpec.

    One with an accelerator is over its quota, which is 0 as in a new project: this machine's processors would not stand
    for what a GPU does. The text says so.

    Args:
        spec: the message.
        field: its place in the request.
        quota: the prefix of the quota's metric: ``custom_model_training`` or ``custom_model_serving``.

    Raises:
        ServiceError: INVALID_ARGUMENT: there is no such type; RESOURCE_EXHAUSTED.
    """
    from .protocol.errors import refused

    name, accelerators = getattr(spec, "machine_type", ""), getattr(spec, "accelerator_count", 0)
    if not name:
        raise refused([(f"{field}.machine_type", "Machine type must be specified.")])
    if accelerators or _ACCELERATED.fullmatch(name):
        raise over_quota(f"{quota}_{_accelerator(spec)}_gpus", " (The offline cloud has no accelerators.)")
    found = machine_type(name)
    if found is None:
        raise refused([(f"{field}.machine_type", f"Machine type {name!r} is not supported.")])
    return found


def over_quota(metric: str, more: str = "") -> ServiceError:
    """The service's error for a quota that is used up."""
    text = f"The following quota metrics exceed quota limits: aiplatform.googleapis.com/{metric}{more}"
    return ServiceError("RESOURCE_EXHAUSTED", text)


def _accelerator(spec: object) -> str:
    field = getattr(spec, "DESCRIPTOR").fields_by_name["accelerator_type"]  # noqa: B009 - a message has no types
    number = getattr(spec, "accelerator_type", 0)
    found = field.enum_type.values_by_number.get(number)
    return "nvidia_a100" if found is None or not number else str(found.name).lower()
