"""Captured requests: the JSON lines that replicas write, read back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from cloudops.provider import Captured


def read(folder: Path, since: float, until: float) -> Iterator[Captured]:
    """The captured requests below ``folder`` between two epoch seconds, oldest first in each file.

    A line that a killed replica left half-written is passed over.
    """
    for path in sorted(folder.rglob("*.jsonl"), key=lambda path: path.stat().st_mtime):
        if path.stat().st_mtime < since:
            continue
        with path.open("rb") as file:
            for line in file:
                captured = _captured(line)
                if captured is not None and since <= captured.time <= until:
                    yield captured


def _captured(line: bytes) -> Captured | None:
    try:
        value = json.loads(line)
        return Captured(float(value["time"]), str(value.get("version", "")), value["inputs"], value["outputs"])
    except (ValueError, KeyError, TypeError):
        return None
