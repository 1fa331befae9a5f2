"""The instance types that jobs and endpoints may ask for: cores, memory and GPUs, as AWS lists them."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from .operations import ServiceError
from .refusals import over_limit

#: Of each family: GiB of memory for each core.
_FAMILIES = {
    "m4": 4.0,
    "m5": 4.0,
    "m5d": 4.0,
    "m6g": 4.0,
    "m6gd": 4.0,
    "m6i": 4.0,
    "m6id": 4.0,
    "m7i": 4.0,
    "m7i-flex": 4.0,
    "m8g": 4.0,
    "m8i": 4.0,
    "m8i-flex": 4.0,
    "c4": 1.875,
    "c5": 2.0,
    "c5d": 2.0,
    "c5n": 2.625,
    "c6g": 2.0,
    "c6gd": 2.0,
    "c6gn": 2.0,
    "c6i": 2.0,
    "c6in": 2.0,
    "c6id": 2.0,
    "c7g": 2.0,
    "c7i": 2.0,
    "c7i-flex": 2.0,
    "c8g": 2.0,
    "c8i": 2.0,
    "c8i-flex": 2.0,
    "r5": 8.0,
    "r5d": 8.0,
    "r6g": 8.0,
    "r6gd": 8.0,
    "r6i": 8.0,
    "r6id": 8.0,
    "r7gd": 8.0,
    "r7i": 8.0,
    "r8g": 8.0,
    "r8i": 8.0,
    "r8i-flex": 8.0,
}
_SMALL = {
    "ml.t2.medium": (2, 4.0),
    "ml.t2.large": (2, 8.0),
    "ml.t2.xlarge": (4, 16.0),
    "ml.t2.2xlarge": (8, 32.0),
    "ml.t3.medium": (2, 4.0),
    "ml.t3.large": (2, 8.0),
    "ml.t3.xlarge": (4, 16.0),
    "ml.t3.2xlarge": (8, 32.0),
}
#: Families with accelerators.
_ACCELERATED = ("p", "g", "inf", "trn", "dl")
#: Instances of a type that the account may use at once.
LIMIT = 1000


@dataclass(frozen=True)
class Instance:
    """An instance type; ``memory`` in bytes."""

    name: str
    cores: int
    memory: int


@functools.cache
def instance(name: str) -> Instance | None:
    """The instance type of that name, None where this table does not have it (one with an accelerator, say)."""
    if name in _SMALL:
        cores, memory = _SMALL[name]
        return Instance(name, cores, int(memory * 2**30))
    _, family, size = name.split(".") if name.count(".") == 2 else ("", "", "")
    if family not in _FAMILIES or not size.endswith(("large", "medium")):
        return None
    times = size.removesuffix("xlarge")
    cores = {"medium": 1, "large": 2}.get(size) or 4 * int(times or 1)
    return Instance(name, cores, int(cores * _FAMILIES[family] * 2**30))


def check_instance(name: str, count: int, what: str, used: int = 0) -> Instance:
    """The instance type, once it is sure that ``count`` of them may be had.

    A type with an accelerator is over its limit, which is 0 as in a new account: this machine's processors would not
    stand for what a job with a GPU does. The text says so.

    Args:
        name: of the type.
        count: how many are wanted.
        what: ``training job``, ``endpoint`` or ``transform job``.
        used: how many are in use.

    Raises:
        ServiceError: ``ResourceLimitExceeded``.
    """
    found = instance(name)
    limit = LIMIT if found is not None else 0
    if found is None or used + count > limit:
        accelerated = name.removeprefix("ml.").startswith(_ACCELERATED)
        more = (
            " (The offline cloud has no accelerators: choose an ml.m, ml.c, ml.r or ml.t type.)" if accelerated else ""
        )
        refusal = over_limit(name, what, limit=limit, used=used, wanted=count, more=more)
        raise ServiceError(refusal.code, refusal.message, refusal.status)
    return found
