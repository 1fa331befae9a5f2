"""What the service checks of a CustomJob beyond the types of its fields, and what it fills in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .machine_types import check_machine
from .protocol.errors import ServiceError, refused

_POOLS = 4
_BOOT_DISK = ("pd-ssd", 100)
_DISKS = ("pd-ssd", "pd-standard", "hyperdisk-balanced")
_GCS = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9](?:/.*)?")
_NETWORK = re.compile(r"projects/\d+/global/networks/[a-z][a-z0-9-]*")
_LONGEST_ARGS = 100_000
#: Members of a job that this emulator cannot honour: one with such is refused rather than half obeyed.
_NOT_EMULATED = ("experiment", "experiment_run", "models", "psc_interface_config")


def check_request(job: Any) -> None:
    """Check a job.

    Raises:
        ServiceError: the service's own answer, or what it is that is not emulated.
    """
    spec = job.job_spec
    given = [name for name in _NOT_EMULATED if name in spec.DESCRIPTOR.fields_by_name and _is_set(spec, name)]
    if given:
        raise ServiceError("UNIMPLEMENTED", f"Not emulated by the offline cloud: job_spec.{given[0]}. Leave it out.")
    problems = list(_problems(job))
    if problems:
        raise refused(problems)
    for number, pool in enumerate(spec.worker_pool_specs):
        if not _is_empty(pool):
            field = f"custom_job.job_spec.worker_pool_specs[{number}].machine_spec"
            check_machine(pool.machine_spec, field, "custom_model_training")


def fill_defaults(job: Any) -> None:
    """Fill in what the service tells of a job that said nothing of it."""
    for pool in job.job_spec.worker_pool_specs:
        if _is_empty(pool):
            continue
        pool.replica_count = pool.replica_count or 1
        pool.disk_spec.boot_disk_type = pool.disk_spec.boot_disk_type or _BOOT_DISK[0]
        pool.disk_spec.boot_disk_size_gb = pool.disk_spec.boot_disk_size_gb or _BOOT_DISK[1]


def _problems(job: Any) -> Iterator[tuple[str, str]]:
    spec, where = job.job_spec, "custom_job.job_spec"
    pools = list(spec.worker_pool_specs)
    if not pools or len(pools) > _POOLS or _is_empty(pools[0]):
        yield f"{where}.worker_pool_specs", f"There must be 1 to {_POOLS} worker pools, and the first not be empty."
        return
    if pools[0].replica_count > 1:
        yield f"{where}.worker_pool_specs[0].replica_count", "The first worker pool must have exactly one replica."
    for number, pool in enumerate(pools):
        if not _is_empty(pool):
            yield from _pool(pool, f"{where}.worker_pool_specs[{number}]")
    output = spec.base_output_directory.output_uri_prefix
    if output and not _GCS.fullmatch(output):
        yield f"{where}.base_output_directory.output_uri_prefix", f"Invalid Google Cloud Storage URI {output!r}."
    if spec.network and not _NETWORK.fullmatch(spec.network):
        yield f"{where}.network", f"Invalid network {spec.network!r}; expected projects/NUMBER/global/networks/NAME."
    if spec.scheduling.timeout.seconds < 0:
        yield f"{where}.scheduling.timeout", "The timeout must not be negative."


def _pool(pool: Any, where: str) -> Iterator[tuple[str, str]]:
    if pool.replica_count < 0:
        yield f"{where}.replica_count", "The replica count must not be negative."
    disk = pool.disk_spec
    if disk.boot_disk_type and disk.boot_disk_type not in _DISKS:
        yield f"{where}.disk_spec.boot_disk_type", f"Invalid disk type; expected one of {', '.join(_DISKS)}."
    if disk.boot_disk_size_gb and not 100 <= disk.boot_disk_size_gb <= 64000:
        yield f"{where}.disk_spec.boot_disk_size_gb", "The boot disk must have between 100 and 64000 GB."
    task = pool.WhichOneof("task")
    if task is None:
        yield where, "One of container_spec and python_package_spec must be set."
        return
    given = getattr(pool, task)
    if sum(map(len, given.args)) > _LONGEST_ARGS:
        yield f"{where}.{task}.args", f"The arguments must not have more than {_LONGEST_ARGS} characters in all."
    if task == "python_package_spec":
        for uri in given.package_uris:
            if not _GCS.fullmatch(uri):
                yield f"{where}.{task}.package_uris", f"Invalid Google Cloud Storage URI {uri!r}."


def _is_empty(pool: Any) -> bool:
    """Whether a pool is there only so that the next one has its number."""
    return not pool.ListFields()


def _is_set(message: Any, name: str) -> bool:
    return any(field.name == name for field, _ in message.ListFields())
