"""Brings a job's inputs to where it reads them; runs as the job's set-up, so that submitting does not wait for it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from cloudops.errors import CloudopsError
from cloudops.store.fetch import fetch
from cloudops.store.uris import redact

from .layout import cache


def stage(source: str, target: Path) -> None:
    """Make ``source`` (a glob or a URI) readable at ``target``."""
    found = fetch(source, cache() / "inputs")
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink():
        target.unlink()
    target.symlink_to(found)


def main(plan: str) -> int:
    """Stage everything in the JSON file ``plan``; prints what it does."""
    for item in json.loads(Path(plan).read_text(encoding="utf-8")):
        source = item["source"] if "source" in item else os.environ[item["secret"]]
        print(f"[cloudops] fetching {redact(source)}", flush=True)  # noqa: T201 - it goes to the job's log
        try:
            stage(source, Path(item["target"]))
        except (CloudopsError, OSError, ValueError) as error:
            print(f"[cloudops] {error}", flush=True)  # noqa: T201
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
