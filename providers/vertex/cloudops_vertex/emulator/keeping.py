"""State that outlives the offline clouds: ``--data DIR``."""

from __future__ import annotations

import contextlib
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .states import JOB_ENDED, state
from .store import Record, stamp

if TYPE_CHECKING:
    from .site import Site

_LOST = "the offline cloud was closed while the job ran"


def keep(site: Site, file: Path) -> None:
    """Write down what exists; what runs has been ended. Raises OSError."""
    records = [
        (one.name, type(one.message).DESCRIPTOR.full_name, one.message.SerializeToString(), one.created)
        for one in site.store.everything()
    ]
    kept = {
        "records": records,
        "projects": site.projects.dump(),
        "entries": site.entries.dump(),
        "series": site.series.dump(),
        "warehouse": site.warehouse.dump(),
    }
    new = file.with_suffix(".new")
    new.write_bytes(pickle.dumps(kept))
    new.replace(file)


def restore(site: Site, file: Path) -> None:
    """Bring back what :func:`keep` wrote; jobs that had not ended have failed, deployed models start again."""
    with contextlib.suppress(FileNotFoundError):
        kept: dict[str, Any] = pickle.loads(file.read_bytes())
        site.projects.load(kept["projects"])
        site.entries.load(kept["entries"])
        site.series.load(kept["series"])
        site.warehouse.load(kept["warehouse"])
        for name, kind, data, created in kept["records"]:
            _put_back(site, Record(name, _message(kind, data), created))
        _start_again(site)


def _message(kind: str, data: bytes) -> Any:
    from .protocol import pool

    return pool.message(kind).FromString(data)


def _put_back(site: Site, record: Record) -> None:
    if record.name.kind.endswith("Jobs") and record.message.state not in JOB_ENDED:
        record.message.state = state("JOB_STATE_FAILED")
        record.message.error.code, record.message.error.message = 13, _LOST
        stamp(record.message.end_time, site.clock.now())
    site.store.put_back(record)


def _start_again(site: Site) -> None:
    from . import deployments, persistent_resources

    for record in site.store.all("endpoints"):
        deployments.revive(site, record)
    for record in site.store.all(persistent_resources.KIND.collection):
        persistent_resources.revive(record)
