"""Inputs in object stores: S3, Google Cloud Storage and Azure Blob Storage, through one library.

The library takes credentials, region and endpoint from the variables that the clouds' own tools use
(``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ``GOOGLE_APPLICATION_CREDENTIALS``, ``AZURE_STORAGE_ACCOUNT_KEY``, ...)
or from the machine that it runs on. Each object is kept under its name and ETag, so one that has not changed is not
fetched again, whichever prefix or pattern asks for it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from cloudops.errors import (
    AuthError,
    ConfigError,
    MissingDependency,
    NotFound,
    ProviderError,
    Unavailable,
    UnknownProviderError,
)

from . import globs
from .disk import unfinished
from .gitignore import translate
from .uris import redact
from .views import view

if TYPE_CHECKING:
    from obstore.store import ObjectStore

#: Objects fetched at a time.
_PARALLEL = 8
#: One request may take as long as the largest object needs; a server that is silent is given up sooner.
_CLIENT = {"timeout": "24h", "connect_timeout": "10s", "read_timeout": "60s"}
_RETRIES = {"max_retries": 3, "retry_timeout": timedelta(seconds=60)}


class _Object(NamedTuple):
    """An object: its name below what was asked for, its key, and what identifies its content."""

    name: str
    key: str
    version: str
    size: int


def fetch(uri: str, cache_dir: Path) -> Path:
    """The object at ``uri``, or a folder with those of a prefix or pattern; see :func:`cloudops.store.fetch.fetch`."""
    source = _Source(uri)
    found = source.objects()
    with ThreadPoolExecutor(_PARALLEL) as pool:
        paths = list(pool.map(lambda item: source.download(item, cache_dir), found))
    if not source.is_folder:
        return paths[0]
    return view([(item.name, str(path)) for item, path in zip(found, paths, strict=True)], cache_dir)


def version(uri: str) -> str:
    """The ETag of the object at ``uri``, or a digest over those of a prefix or pattern."""
    source = _Source(uri)
    found = source.objects()
    if not source.is_folder:
        return found[0].version
    listing = "".join(f"{item.name}\0{item.version}\0" for item in found)
    return hashlib.sha256(listing.encode()).hexdigest()


class _Source:
    """An object, a prefix (it ends in ``/``, or is a whole bucket), or a pattern.

    Args:
        uri: ``SCHEME://BUCKET/KEY``.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        root, bucket, key = re.fullmatch(r"([^:]+://([^/?#]*))/?(.*)", uri, re.DOTALL).groups()  # type: ignore[union-attr]
        if not bucket:
            raise ConfigError(f"{redact(uri)} names no bucket", hint="expected SCHEME://BUCKET/KEY")
        self._root: str = root
        self._key: str = key
        self._pattern = globs.has_wildcard(key)
        self.is_folder = self._pattern or not key or key.endswith("/")
        self._store = _open(root, uri)

    def objects(self) -> list[_Object]:
        """What is there, sorted by name.

        Raises:
            ProviderError: nothing is there, or it may not be read.
        """
        with _explained(self._uri):
            found = self._listed() if self.is_folder else [self._head()]
        if not found:
            what = "matches no object" if self._pattern else "holds no objects"
            raise NotFound(f"{redact(self._uri)} {what}", hint="check the address")
        return found

    def download(self, item: _Object, cache_dir: Path) -> Path:
        """The content of ``item`` on this machine, fetched unless it is there already."""
        identity = f"{self._root}\0{item.key}\0{item.version}\0{item.size}"
        folder = cache_dir / "objects" / hashlib.sha256(identity.encode()).hexdigest()[:32]
        path = folder / (item.key.rpartition("/")[2] or "data")
        if path.exists():
            return path
        import obstore

        size = 0
        with unfinished(folder) as (file, temporary):
            with _explained(self._uri):
                pieces = iter(obstore.get(self._store, item.key).stream())
            while True:
                with _explained(self._uri):
                    piece = next(pieces, None)
                if piece is None:
                    break
                size += file.write(piece)
            file.close()
            if size != item.size:
                raise Unavailable(f"{redact(self._uri)}: {item.key} changed while it was fetched", hint="run again")
            os.replace(temporary, path)
        return path

    def _head(self) -> _Object:
        import obstore

        return _object(obstore.head(self._store, self._key), self._key.rpartition("/")[2])

    def _listed(self) -> list[_Object]:
        import obstore

        start = self._key.rstrip("/")
        if self._pattern:
            fixed = re.split(r"[*?\[]", self._key, maxsplit=1)[0]
            start = fixed.rpartition("/")[0]
        skip = len(start) + 1 if start else 0
        wanted = re.compile(translate(self._key, True) or "(?!)", re.DOTALL) if self._pattern else None
        metas = [meta for chunk in obstore.list(self._store, start or None) for meta in chunk]
        found = [_object(meta, meta["path"][skip:]) for meta in metas if not wanted or wanted.fullmatch(meta["path"])]
        # Consoles show folders by means of empty objects that are named like them.
        return sorted(item for item in found if item.name)


def _object(meta: Any, name: str) -> _Object:
    version = meta["e_tag"] or meta["version"] or f"{meta['last_modified'].isoformat()} {meta['size']}"
    return _Object(name, meta["path"], version, meta["size"])


def _open(root: str, uri: str) -> ObjectStore:
    try:
        from obstore.store import from_url
    except ImportError as error:
        hint = "pip install 'cloudops-ml[remote]'"
        raise MissingDependency(f"{redact(uri)} needs the package obstore", hint=hint) from error
    # Whoever names an endpoint without encryption, such as a server on this machine, means it.
    plain = any(os.environ.get(name, "").startswith("http://") for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT"))
    with _explained(uri):
        options: Any = {**_CLIENT, "allow_http": plain}
        retries: Any = _RETRIES
        return from_url(root, client_options=options, retry_config=retries)


@contextmanager
def _explained(uri: str) -> Iterator[None]:
    """Turn the library's errors into those of this project."""
    from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

    shown = redact(uri)
    try:
        yield
    except FileNotFoundError as error:
        hint = "check the address; a folder ends in /"
        raise NotFound(f"{shown} does not exist", hint=hint) from error
    except (PermissionDeniedError, UnauthenticatedError) as error:
        hint = "check that the credentials in the environment may read it"
        raise AuthError(f"{shown}: access denied", hint=hint) from error
    except (BaseError, ValueError) as error:
        raise _unknown(shown, error) from error


def _unknown(shown: str, error: Exception) -> ProviderError:
    """An error by its text, which is all that the library gives."""
    text = redact(" ".join(str(error).partition("Debug source:")[0].split()))
    if "169.254.169.254" in text or "metadata.google.internal" in text:
        hint = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS, or AZURE_STORAGE_*"
        return AuthError(f"{shown}: the environment holds no credentials, and this is no cloud machine", hint=hint)
    if "error sending request" in text or "error trying to connect" in text or "timed out" in text:
        return Unavailable(f"{shown}: no answer: {text}", hint="check the network and the endpoint")
    return UnknownProviderError(f"{shown}: {text}", hint="check the address and the credentials")
