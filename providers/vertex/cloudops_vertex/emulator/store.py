"""What exists: every resource of Vertex AI by its name, which carries the project's number."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .names import Name
from .protocol import pool

if TYPE_CHECKING:
    from .projects import Projects

#: Resources are kept as the messages of this version. Those of v1 have the same fields at the same numbers: a message
#: of the one is read as one of the other, and what only one version has is kept beside (as unknown fields).
VERSION = "v1beta1"


@dataclass
class Record:
    """Something that exists.

    Args:
        name: in full, with the project's number.
        message: what describes it, of :data:`VERSION`; changed under the store's lock only.
        created: by the offline clock.
        live: what drives it; None once it is at rest. Its ``end()`` ends what runs and does not wait for long.
    """

    name: Name
    message: Any
    created: float
    live: Any = None


class Store:
    """The resources.

    Args:
        now: the offline clock's time.
        projects: whose numbers names carry.
    """

    def __init__(self, now: Callable[[], float], projects: Projects) -> None:
        #: Held around every check-then-change; never while something is waited for.
        self.lock = threading.RLock()
        self._now = now
        self._projects = projects
        self._records: dict[str, dict[str, Record]] = {}

    def canonical(self, name: Name) -> Name:
        """The name with the project's number."""
        return name.with_project(self._projects.number(name.project))

    def find(self, name: Name) -> Record | None:
        """What has that name, or None."""
        own = self.canonical(name)
        return self._records.get(own.kind, {}).get(str(own))

    def add(self, name: Name, message: Any, live: Any = None) -> Record:
        """Have a resource exist, with its name, the time and an etag in its message; the caller holds the lock."""
        own = self.canonical(name)
        record = Record(own, message, self._now(), live)
        message.name = str(own)
        stamp(message.create_time, record.created)
        self.touch(record)
        self._records.setdefault(own.kind, {})[str(own)] = record
        return record

    def put_back(self, record: Record) -> None:
        """Have a record exist that :meth:`everything` gave."""
        with self.lock:
            self._records.setdefault(record.name.kind, {})[str(record.name)] = record

    def touch(self, record: Record) -> None:
        """Note that a resource was changed."""
        message = record.message
        if "update_time" in message.DESCRIPTOR.fields_by_name:
            stamp(message.update_time, self._now())
        if "etag" in message.DESCRIPTOR.fields_by_name:
            message.etag = etag(message)

    def remove(self, name: Name) -> None:
        """Forget a resource and all that lies in it."""
        own = str(self.canonical(name))
        with self.lock:
            for records in self._records.values():
                for one in [one for one in records if one == own or one.startswith(f"{own}/")]:
                    del records[one]

    def children(self, parent: Name, kind: str) -> list[Record]:
        """All of a kind that lie in ``parent``, newest first; ``-`` as its location is any."""
        own = self.canonical(parent)
        with self.lock:
            found = [one for one in self._records.get(kind, {}).values() if _lies_in(one.name, own)]
        return sorted(found, key=lambda one: (-one.created, str(one.name)))

    def everything(self) -> Iterator[Record]:
        """All that exists."""
        with self.lock:
            yield from [one for records in self._records.values() for one in records.values()]

    def all(self, kind: str) -> list[Record]:
        """All of a kind, newest first."""
        with self.lock:
            return sorted(self._records.get(kind, {}).values(), key=lambda one: -one.created)

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            self._records.clear()


def _lies_in(name: Name, parent: Name) -> bool:
    same = name.project == parent.project and parent.location in (name.location, "-")
    return same and name.path[:-2] == parent.path


def kept(message: Any) -> Any:
    """A resource as it is kept: of :data:`VERSION`."""
    return _as(message, VERSION)


def shown(message: Any, version: str) -> Any:
    """A resource as a client of ``version`` sees it: a copy."""
    return _as(message, version)


def _as(message: Any, version: str) -> Any:
    full = message.DESCRIPTOR.full_name.split(".")
    full[3] = version
    return pool.message(".".join(full)).FromString(message.SerializeToString())


def etag(message: Any) -> str:
    """A digest of what a message says, in the form of the service's own."""
    copy = type(message)()
    copy.CopyFrom(message)
    copy.ClearField("etag")
    return base64.b64encode(hashlib.md5(copy.SerializeToString(deterministic=True)).digest()[:8]).decode()


def stamp(field: Any, time: float) -> None:
    """Put a time (epoch seconds) into a Timestamp."""
    field.FromMicroseconds(int(time * 1e6))
