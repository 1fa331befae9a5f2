"""Which file is the project file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

#: Its name where nothing else is said.
NAME = "cloudops.yaml"


def chosen(given: str | Path | None, environ: Mapping[str, str]) -> Path:
    """The file that a flag names, else that of ``CLOUDOPS_FILE``, else the one in the working directory."""
    return Path(given or environ.get("CLOUDOPS_FILE") or NAME)
