"""Inputs on this machine: a path, or a URI whose content is fetched once per version.

========================================  ==========================================================================
source                                    what there is on this machine
========================================  ==========================================================================
``data/train.csv``, ``file:///data``      the file or folder itself
``data/*.parquet``, ``data/**/*.csv``     a folder with a link to each file that matches
``https://host/train.csv``                the file, fetched again when its ETag or Last-Modified changes
``s3://bucket/train.csv``                 the file, fetched again when its ETag changes
``s3://bucket/data/``                     a folder with all objects below that prefix
``s3://bucket/data/*.parquet``            a folder with the objects that match
========================================  ==========================================================================

``gs://``, ``abfss://`` and ``az://`` work as ``s3://`` does.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from cloudops.errors import AuthError, ConfigError, MissingDependency

from . import globs, views
from .snapshot import digest_path
from .uris import redact, scheme

_OBJECTS = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "adl")
_HTTP = ("http", "https")
_KNOWN = ("file", *_HTTP, *_OBJECTS)


class _Remote(Protocol):
    """What a module for one kind of URI offers."""

    def fetch(self, uri: str, cache_dir: Path) -> Path: ...

    def version(self, uri: str) -> str: ...


def fetch(uri: str, cache_dir: Path) -> Path:
    """The absolute path of a file or folder with the content of ``uri``.

    What was fetched is never changed afterwards: a new version gets a new path, so that a job goes on reading the
    version that it started with.

    Args:
        uri: a path or URI, as in the table above.
        cache_dir: where fetched content is kept.

    Raises:
        ConfigError: nothing is at a path, nothing matches a pattern, or the URI cannot be fetched at all.
        MissingDependency: the URI needs the extra ``remote``.
        ProviderError: the server refuses, has no such thing, or does not answer (``retryable``).
        CloudopsError: the disk is full.
    """
    remote = _remote(uri)
    return _local(path_of(uri), cache_dir) if remote is None else remote.fetch(uri, cache_dir)


def version(uri: str, cache_dir: Path) -> str:
    """What identifies the content of ``uri`` now; empty where that is not known. Nothing is kept of what is read.

    It is the digest of what is on this machine (``cache_dir`` remembers it) and of what a web server sends without
    an ETag or a Last-Modified, else one of those, and unknown for what this machine may not read: the role of a job
    elsewhere may.

    Raises:
        ConfigError, ProviderError: as :func:`fetch`.
    """
    remote = _remote(uri)
    if remote is None:
        return digest_path(path_of(uri), cache_dir)
    try:
        return remote.version(uri)
    except (AuthError, MissingDependency):
        return ""


def path_of(uri: str) -> str:
    """The path that a ``file://`` URI or a plain path names.

    Raises:
        ConfigError: the URI names another host.
    """
    if scheme(uri) != "file":
        return uri
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        hint = f"write file:///{parts.netloc}{parts.path} for a path of this machine"
        raise ConfigError(f"{uri} names the host {parts.netloc!r}", hint=hint)
    return unquote(parts.path, errors="surrogateescape")


def _remote(uri: str) -> _Remote | None:
    """The module that fetches ``uri``; None where it is on this machine."""
    kind = scheme(uri)
    if kind in ("", "file"):
        return None
    if kind in _HTTP:
        from . import web

        return web
    if kind in _OBJECTS:
        from . import objects

        return objects
    if kind == "azureml":
        hint = "name its storage account instead: abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH"
        raise ConfigError(f"{redact(uri)} can only be read inside Azure ML", hint=hint)
    known = ", ".join(f"{name}://" for name in _KNOWN)
    raise ConfigError(f"{redact(uri)}: {kind}:// cannot be fetched", hint=f"known are a path and {known}")


def _local(path: str, cache_dir: Path) -> Path:
    full = os.path.abspath(path)
    if os.path.exists(full):
        return Path(full)
    if globs.has_wildcard(full):
        return views.view(globs.matches(full), cache_dir)
    raise ConfigError(f"{path!r} does not exist", hint=f"looked for {full}")
