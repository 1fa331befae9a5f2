"""The emulated cloud's state on disk, between two starts: SageMaker's own records, and all that moto holds.

It is written when the emulator is closed. moto's state is pickled as it is, so it can be read only by the versions
that wrote it; large contents of objects lie beside it in files of their own. What ran then has ended.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from cloudops.engine.folders import empty, remove

from .region import Record, Region

if TYPE_CHECKING:
    from .site import Site

#: Contents of so many bytes and more get a file of their own.
_LARGE = 1 << 16
_RESTORERS: dict[str, Callable[[Region, Record], None]] = {}


def on_restore(kind: str) -> Callable[[Callable[[Region, Record], None]], Callable[[Region, Record], None]]:
    """Register what brings a record of a kind back to life when it is read from disk (an endpoint's replicas, say)."""

    def register(function: Callable[[Region, Record], None]) -> Callable[[Region, Record], None]:
        _RESTORERS[kind] = function
        return function

    return register


def keep(site: Site, folder: Path) -> None:
    """Write everything down; what was kept before is there until that is done. Raises OSError."""
    from moto.core.base_backend import BackendDict

    new, old = folder.with_name(f"{folder.name}.new"), _before(folder)
    empty(new)
    instances: list[Any] = list(vars(BackendDict)["_instances"])
    backends = [
        (held.service_name, account, name, backend.__dict__)
        for held in instances
        for account, of_account in list(held.items())
        for name, backend in list(of_account.items())
    ]
    regions = [(region.account, region.name, region.dump()) for region in site.regions()]
    with (new / "state").open("wb") as file:
        pickle.dump(_versions(), file)
        _Writer(file, new).dump((_bucket_accounts(), backends, regions))
        file.flush()
        os.fsync(file.fileno())
    remove(old)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    remove(old)


def _before(folder: Path) -> Path:
    """Where what was kept before lies for the moment in which the new takes its place."""
    return folder.with_name(f"{folder.name}.old")


def restore(site: Site, folder: Path) -> bool:
    """Have everything that was written down exist again; False where nothing was.

    Raises:
        ValueError: other versions have written it; the message names them.
    """
    path = folder / "state"
    if not folder.exists() and _before(folder).exists():
        _before(folder).rename(folder)
    if not path.exists():
        return False
    with path.open("rb") as file:
        written = pickle.load(file)
        if written != _versions():
            raise ValueError(
                f"{path} was written by {written}; this is {_versions()}. Use those versions, or remove {folder}"
            )
        accounts, backends, regions = _Reader(file, folder).load()
    _restore_moto(accounts, backends)
    for account, name, state in regions:
        region = site.region(name, account)
        region.load(state)
        for record in (one for kind in region.kinds() for one in region.all(kind)):
            if record.kind in _RESTORERS:
                _RESTORERS[record.kind](region, record)
    return True


class _Writer(pickle.Pickler):
    """Writes large contents to files, one after the other, so that they are never in memory together."""

    def __init__(self, file: IO[bytes], folder: Path) -> None:
        super().__init__(file)
        self._folder, self._count = folder, 0

    def persistent_id(self, obj: Any) -> str | None:
        if not isinstance(obj, bytes) or len(obj) < _LARGE:
            return None
        self._count += 1
        name = f"content-{self._count}"
        (self._folder / name).write_bytes(obj)
        return name

    def reducer_override(self, obj: Any) -> Any:
        """Locks are not kept: whoever has one has a new one afterwards."""
        makers = {type(threading.Lock()): threading.Lock, type(threading.RLock()): threading.RLock}
        maker = makers.get(type(obj))
        return NotImplemented if maker is None else (maker, ())


class _Reader(pickle.Unpickler):
    def __init__(self, file: IO[bytes], folder: Path) -> None:
        super().__init__(file)
        self._folder = folder

    def persistent_load(self, name: str) -> bytes:
        return (self._folder / name).read_bytes()


def _restore_moto(accounts: dict[str, Any], backends: list[tuple[str, str, str, dict[str, Any]]]) -> None:
    from moto import backends as moto_backends
    from moto.s3.models import s3_backends

    for service, account, name, state in backends:
        find: Any = moto_backends.get_backend
        backend = find(service)[account][name]
        backend.__dict__.update(state)
    s3_backends.bucket_accounts.update(accounts)


def _bucket_accounts() -> dict[str, Any]:
    from moto.s3.models import s3_backends

    return dict(s3_backends.bucket_accounts)


def _versions() -> str:
    return f"Python {'.'.join(map(str, sys.version_info[:2]))} with moto {version('moto')}"
