"""Brings a job's inputs to where it reads them; runs as the job's set-up, so that submitting does not wait for it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from cloudops.errors import CloudopsError, ConfigError
from cloudops.store import access
from cloudops.store.fetch import fetch
from cloudops.store.snapshot import digest_path
from cloudops.store.uris import redact

from .layout import cache


def stage(source: str, target: Path) -> None:
    """Make ``source`` (a glob or a URI) readable at ``target``."""
    found = fetch(source, cache() / "inputs")
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_symlink():
        target.unlink()
    target.symlink_to(found)


def check(name: str, source: str, version: str, store: Path) -> None:
    """Hold an input of this machine against the version that the lineage names.

    Raises:
        ConfigError: it was changed, or removed, since the job was submitted.
    """
    if digest_path(source, store) != version:
        hint = "submit the job again, and leave its data alone until it runs"
        raise ConfigError(f"the input {name} ({source}) was changed after the job was submitted", hint=hint)


def main(plan: str, store: str) -> int:
    """Do for each input what the JSON file ``plan`` says (``mapping.stages``); prints what it does."""
    access.unpack(os.environ)
    for item in json.loads(Path(plan).read_text(encoding="utf-8")):
        source = item["source"] if "source" in item else os.environ[item["secret"]]
        try:
            if "version" in item:
                check(item["name"], source, item["version"], Path(store))
            if "target" in item:
                _say(f"fetching {redact(source)}")
                stage(source, Path(item["target"]))
        except (CloudopsError, OSError, ValueError) as error:
            _say(f"error: {error}")
            return 1
    return 0


def _say(text: str) -> None:
    print(f"[cloudops] {text}", flush=True)  # noqa: T201 - it goes to the job's log


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
