"""Brings a job's inputs to where it reads them; runs as the job's set-up, so that submitting does not wait for it."""

from __future__ import annotations

import glob
import json
import sys
from pathlib import Path

from cloudops.errors import CloudopsError
from cloudops.store.fetch import fetch
from cloudops.store.uris import redact

from .layout import cache


def stage(source: str, target: Path) -> None:
    """Make ``source`` (a glob or a URI) readable at ``target``."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if "://" in source:
        _link(fetch(source, cache() / "inputs"), target)
        return
    target.mkdir(exist_ok=True)
    for found in sorted(glob.glob(source, recursive=True)):
        _link(Path(found), target / Path(found).name)


def _link(source: Path, target: Path) -> None:
    if target.is_symlink():
        target.unlink()
    target.symlink_to(source)


def main(plan: str) -> int:
    """Stage everything in the JSON file ``plan``; prints what it does."""
    for item in json.loads(Path(plan).read_text(encoding="utf-8")):
        shown = redact(item["source"])
        print(f"[cloudops] fetching {shown}", flush=True)  # noqa: T201 - it goes to the job's log
        try:
            stage(item["source"], Path(item["target"]))
        except (CloudopsError, OSError, ValueError) as error:
            print(f"[cloudops] {error}", flush=True)  # noqa: T201
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
