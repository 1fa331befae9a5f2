"""What exists in the emulated cloud, for ``cloudops offline status``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cloudops.offline.emulator import Resource

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
    found.sort(key=lambda one: (not one[0], -(one[1].created or 0)))
    return [*(one for _, one in found), *around(site)]


def _resource(region: Region, record: Record) -> tuple[bool, Resource]:
    """A record, and whether it runs."""
    with region.lock:
        state = next((value for key, value in record.described.items() if key.endswith("Status")), "")
    return record.live is not None, Resource(record.kind, record.name, str(state), record.created, region.name)
