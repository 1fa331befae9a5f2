"""Packing a code folder of 2,000 small files (40 MB), against hashing them and against looking at them."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from cloudops.store.snapshot import digest_tree, pack

from .clock import medians

FILES = 2000
SIZE = 20_000
IGNORE = "__pycache__/\n*.py[cod]\n*.egg-info/\n.venv/\ndata/\nbuild/\ndist/\n*.log\n!keep.log\n"


def run() -> list[tuple[str, float, str]]:
    """Ratios to sha256 over the same bytes for a new folder, to ``stat`` of the same files for an unchanged one."""
    with tempfile.TemporaryDirectory() as folder:
        code, store, fresh = Path(folder, "code"), Path(folder, "store"), Path(folder, "fresh")
        _make(code)
        pack(code, store)
        found = medians(
            {
                "sha256": lambda: _hash(code),
                "stat": lambda: _stat(code),
                "tarfile": lambda: _tarfile(code, Path(folder, "plain.tar")),
                "new": lambda: pack(code, _emptied(fresh)),
                "unchanged": lambda: pack(code, store),
                "digest": lambda: digest_tree(code, store),
            }
        )
    return [
        ("pack, new folder", found["new"] / found["sha256"], "x sha256; bar: at most 4"),
        ("tarfile, the same files, no digest", found["tarfile"] / found["sha256"], "x sha256"),
        ("pack, unchanged folder", found["unchanged"] / found["stat"], "x stat of every file"),
        ("digest, unchanged folder", found["digest"] / found["stat"], "x stat of every file"),
        ("pack, unchanged folder", found["unchanged"] / found["sha256"], "x sha256"),
    ]


def _make(code: Path) -> None:
    content = random.Random(0)
    for number in range(FILES):
        folder = code / f"package_{number % 20}" / f"part_{number % 5}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"module_{number}.py").write_bytes(content.randbytes(SIZE))
    (code / ".gitignore").write_text(IGNORE)
    time.sleep(0.1)  # files this young are read again to be safe


def _emptied(store: Path) -> Path:
    shutil.rmtree(store, ignore_errors=True)
    return store


def _walk(folder: str) -> Iterator[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(entry.path)
            else:
                yield entry


def _stat(code: Path) -> int:
    return sum(entry.stat(follow_symlinks=False).st_size for entry in _walk(str(code)))


def _hash(code: Path) -> None:
    for entry in _walk(str(code)):
        with open(entry.path, "rb", buffering=0) as file:
            hashlib.sha256(file.read()).hexdigest()


def _tarfile(code: Path, target: Path) -> None:
    with tarfile.open(target, "w") as tar:
        tar.add(code, arcname=".")
