"""Captured requests: the JSON lines that replicas write, read back."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from cloudops.provider import Captured


def read(folder: Path, since: float, until: float) -> Iterator[Captured]:
    """The captured requests below ``folder`` between two epoch seconds, oldest first in each file.

    A line that a killed replica left half-written is passed over, and so is a file that a replica removes meanwhile.
    """
    written = {path: _written(path) for path in folder.rglob("*.jsonl")}
    for path in sorted(written, key=written.__getitem__):
        if written[path] < since:
            continue
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            for line in file:
                captured = _captured(line)
                if captured is not None and since <= captured.time <= until:
                    yield captured


def _written(path: Path) -> float:
    """When a file was written to last, in epoch seconds; 0 where it is gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _captured(line: bytes) -> Captured | None:
    try:
        value = json.loads(line)
        return Captured(float(value["time"]), str(value.get("version", "")), value["inputs"], value["outputs"])
    except (ValueError, KeyError, TypeError):
        return None
