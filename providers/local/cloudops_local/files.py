"""Small JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write(path: Path, value: Any) -> None:
    """Write a JSON value, whole or not at all; folders above it are made."""
    from cloudops.engine.files import write_json

    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, value)


def read(path: Path) -> Any:
    """The JSON value in a file, or None where there is none that can be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
