"""The jobs and endpoints that the folders of a project tell of, where the index of them was lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .layout import JobFolder, Layout
from .state import Item


def found(layout: Layout) -> Iterator[Item]:
    """An item for each folder that a job or an endpoint left; what is damaged is passed over."""
    for folder in _folders(layout.base / "jobs"):
        run = JobFolder(folder).run
        spec, state = _read(run / "job.json"), _read(run / "state.json")
        if spec is not None and {"project", "step"} <= spec.get("labels", {}).keys():
            created = (state or {}).get("created") or run.stat().st_mtime
            yield Item("jobs", folder.name, spec["labels"]["project"], spec["labels"]["step"], created)
    for folder in _folders(layout.base / "endpoints"):
        owner = _read(layout.owner(folder.name))
        if owner is not None:
            yield Item("endpoints", folder.name, owner["project"], "deploy", owner["created"])


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.iterdir() if path.is_dir()) if parent.is_dir() else []


def _read(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
