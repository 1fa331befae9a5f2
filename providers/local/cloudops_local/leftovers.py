"""The jobs and endpoints that the folders of a project tell of, where the index of them was lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from .layout import JobFolder, Layout
from .state import Item


def leftovers(layout: Layout) -> Iterator[Item]:
    """An item for each folder that a job or an endpoint left; what is damaged is passed over."""
    for folder in _folders(layout.base / "jobs"):
        yield from _job(JobFolder(folder))
    for folder in _folders(layout.base / "endpoints"):
        yield from _endpoint(folder.name, layout.owner(folder.name))


def _job(folder: JobFolder) -> Iterator[Item]:
    from cloudops.engine import job

    try:
        labels = job.spec(folder.run).labels
        created = folder.contract.stat().st_mtime
        yield Item("jobs", folder.path.name, str(labels["project"]), str(labels["step"]), created)
    except (OSError, ValueError, KeyError, TypeError):
        return


def _endpoint(name: str, owner: Path) -> Iterator[Item]:
    try:
        value = json.loads(owner.read_text(encoding="utf-8"))
        yield Item("endpoints", name, str(value["project"]), "deploy", float(value["created"]))
    except (OSError, ValueError, KeyError, TypeError):
        return


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []
