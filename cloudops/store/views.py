"""Folders of links: some files, wherever they are, as one input."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from cloudops.errors import ConfigError

from .disk import cannot_write


def view(files: Sequence[tuple[str, str]], cache_dir: Path) -> Path:
    """A folder below ``cache_dir`` that holds just ``files``: the same files always give the same folder.

    Args:
        files: for each its name in the folder, which may have ``/`` in it, and its absolute path.
        cache_dir: where the folder is made.

    Raises:
        ConfigError: a name would lie outside the folder.
        CloudopsError: ``cache_dir`` cannot be written.
    """
    listing = "".join(f"{name}\0{path}\0" for name, path in files)
    digest = hashlib.sha256(os.fsencode(listing)).hexdigest()
    folder = cache_dir / "views" / digest[:32]
    if not folder.exists():
        try:
            _make(files, folder)
        except OSError as error:
            raise cannot_write(folder, error) from error
    return folder


def _make(files: Sequence[tuple[str, str]], folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".tmp-"))
    try:
        for name, path in files:
            _link(temporary, name, path)
        try:
            os.rename(temporary, folder)
        except OSError:
            if not folder.exists():  # another process may have made the same one
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _link(folder: Path, name: str, path: str) -> None:
    if not name or name.startswith("/") or ".." in PurePosixPath(name).parts:
        raise ConfigError(
            f"{name!r} cannot be the name of a file", hint="rename the object, or fetch it by its own URI"
        )
    link = folder / name
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    except (FileExistsError, NotADirectoryError) as error:
        hint = "choose one of them with a longer path or a pattern"
        raise ConfigError(f"{name!r} or a part of it is the name of both a file and a folder", hint=hint) from error
