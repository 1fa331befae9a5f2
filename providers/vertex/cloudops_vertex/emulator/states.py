"""The states of jobs, as google/cloud/aiplatform/v1/job_state.proto numbers them."""

from __future__ import annotations

import functools
from typing import cast

from google.protobuf.descriptor import EnumDescriptor

from .protocol import pool


@functools.cache
def _states() -> EnumDescriptor:
    field = pool.of("v1beta1", "CustomJob").DESCRIPTOR.fields_by_name["state"]
    return cast("EnumDescriptor", field.enum_type)


def state(name: str) -> int:
    """The number of a state: ``JOB_STATE_RUNNING``."""
    return int(_states().values_by_name[name].number)


def name_of(number: int) -> str:
    """The name of a state."""
    found = _states().values_by_number.get(number)
    return str(number) if found is None else str(found.name)


_ENDED = ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED")
#: Those in which nothing happens any more.
JOB_ENDED = frozenset(state(f"JOB_STATE_{name}") for name in _ENDED)
