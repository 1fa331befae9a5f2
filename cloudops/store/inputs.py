"""What a job's input is: a file, a folder or a pattern, and its files where a cloud cannot read it where it is."""

from __future__ import annotations

import os
import posixpath
from pathlib import Path
from urllib.parse import urlsplit


def is_folder(source: str) -> bool:
    """Whether the command is to see an input as a folder.

    Args:
        source: an absolute path, a glob, or a URI, as in :class:`cloudops.provider.Input`.
    """
    if "://" not in source:
        return not Path(source).is_file()
    path = urlsplit(source).path
    return path.endswith("/") or not posixpath.basename(path) or is_pattern(source)


def is_pattern(source: str) -> bool:
    """Whether an input is a pattern rather than one thing."""
    if source.startswith(("http://", "https://")):
        return False
    return any(mark in source for mark in "*?[") and ("://" in source or not Path(source).exists())


def within(source: str) -> str:
    """The name of an input that is one file; empty for a folder."""
    if is_folder(source):
        return ""
    return posixpath.basename(urlsplit(source).path if "://" in source else source)


def local_files(source: str, cache: Path) -> dict[str, Path]:
    """The files of an input by their names in it, fetched where it is a URI.

    Args:
        source: see :func:`is_folder`.
        cache: the folder that what is fetched is kept in.
    """
    if "://" in source:
        from .fetch import fetch

        path = fetch(source, cache)
        return {os.path.basename(within(source)) or path.name: path} if path.is_file() else below(path)
    path = Path(source)
    if path.is_file():
        return {path.name: path}
    if path.is_dir():
        return below(path)
    from . import globs

    return {name: Path(found) for name, found in globs.matches(source)}


def below(folder: Path) -> dict[str, Path]:
    """Every file of a folder of data by its name in it."""
    from .tree import data_files

    return {entry.name: Path(entry.path) for entry in data_files(folder)}
