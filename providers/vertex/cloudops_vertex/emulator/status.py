"""What exists in the emulated cloud, for ``cloudops offline status``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cloudops.offline.emulator import Resource

from .states import name_of

if TYPE_CHECKING:
    from .site import Site
    from .store import Record


def resources(site: Site) -> list[Resource]:
    """What exists: Vertex AI's own, running things first, newest first; then buckets."""
    with site.store.lock:
        found = [(_runs(one), _resource(one)) for one in site.store.everything()]
    found.sort(key=lambda one: (not one[0], -(one[1].created or 0)))
    buckets = [Resource("bucket", one.name, "", one.created, "") for one in site.buckets.buckets()]
    return [*(one for _, one in found), *buckets]


def _runs(record: Record) -> bool:
    return record.live is not None and bool(getattr(record.live, "fleets", True))


def _resource(record: Record) -> Resource:
    kind = re.sub(r"(?<!^)(?=[A-Z])", "-", record.name.kind).lower().removesuffix("s")
    message, fields = record.message, record.message.DESCRIPTOR.fields_by_name
    state = name_of(message.state).removeprefix("JOB_STATE_") if record.name.kind.endswith("Jobs") else ""
    if "deployed_models" in fields and record.name.kind == "endpoints":
        state = ", ".join(f"{one} {share} %" for one, share in message.traffic_split.items()) or "empty"
    shown = f"{record.name.id} ({message.display_name})" if "display_name" in fields else record.name.id
    return Resource(kind, shown, state, record.created, record.name.location)
