"""What exists in the emulated cloud, for ``cloudops offline status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudops.offline.emulator import Resource

from . import warm_pools
from .status_around import around

if TYPE_CHECKING:
    from .region import Record, Region
    from .site import Site


def resources(site: Site) -> list[Resource]:
    """What exists: SageMaker's own, running things first, newest first; then what the services around it have."""
    found: list[tuple[bool, Resource]] = []
    for region in site.regions():
        for kind in region.kinds():
            found += [_resource(region, record) for record in region.all(kind)]
        found += [(True, pool) for pool in _pools(region)]
    found.sort(key=lambda one: (not one[0], -(one[1].created or 0)))
    return [*(one for _, one in found), *around(site)]


def _pools(region: Region) -> list[Resource]:
    """The warm pools that wait, and cost, under the names of the jobs that left them."""
    found = []
    with region.lock:
        for record in region.all("training-job"):
            warm_pools.refresh(region, record)
            if warm_pools.available(record):
                since = record.history[-1]["since"]
                found.append(Resource("warm-pool", record.name, "Available", since, region.name))
    return found


def _resource(region: Region, record: Record) -> tuple[bool, Resource]:
    """A record, and whether it runs."""
    with region.lock:
        state = next((value for key, value in record.described.items() if key.endswith("Status")), "")
    return record.live is not None, Resource(record.kind, record.name, str(state), record.created, region.name)
