"""One region of one account of the emulated SageMaker: what exists there."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cloudops.offline.emulator import Surroundings

    from .site import Site

#: The account that throw-away credentials belong to.
ACCOUNT = "123456789012"


@dataclass
class Record:
    """Something that exists.

    Args:
        kind: as in its ARN: ``training-job``, ``endpoint``, ``transform-job``.
        name: within the kind, the account and the region.
        described: what its Describe operation answers, as the service's model names it; datetimes as epoch seconds.
            Changed under the region's lock only.
        created: by the offline clock.
        live: what drives it: a job's or an endpoint's own object; None once it is at rest. Its ``end()`` ends what runs
            at once and returns without waiting for long.
    """

    kind: str
    name: str
    described: dict[str, Any]
    created: float
    live: Any = None
    history: list[dict[str, Any]] = field(default_factory=list)


class Region:
    """The state of one region of one account.

    Args:
        surroundings: clock, faults, folder, images.
        name: such as ``us-east-1``.
        account: twelve digits.
        site: what it shares with the other regions.
    """

    def __init__(self, surroundings: Surroundings, name: str, account: str = ACCOUNT, *, site: Site) -> None:
        self.surroundings = surroundings
        self.site = site
        self.clock = surroundings.clock
        self.faults = surroundings.faults
        self.name = name
        self.account = account
        #: Held around every check-then-change; never while something is waited for.
        self.lock = threading.RLock()
        #: What works beside the records, by its module's name; each has an ``end()`` as ``Record.live`` has.
        self.attached: dict[str, Any] = {}
        self._records: dict[str, dict[str, Record]] = {}
        self._tags: dict[str, dict[str, str]] = {}

    @property
    def folder(self) -> Path:
        """Where the region's jobs and endpoints have their folders."""
        return self.surroundings.folder / self.account / self.name

    def arn(self, kind: str, name: str) -> str:
        """The ARN of something in this region."""
        return f"arn:{self.partition}:sagemaker:{self.name}:{self.account}:{kind}/{name}"

    @property
    def partition(self) -> str:
        """``aws``, or ``aws-cn`` in China."""
        return "aws-cn" if self.name.startswith("cn-") else "aws"

    def find(self, kind: str, name: str) -> Record | None:
        """What has that name, or None."""
        return self._records.get(kind, {}).get(name)

    def all(self, kind: str) -> list[Record]:
        """All of a kind, newest first."""
        with self.lock:
            return sorted(self._records.get(kind, {}).values(), key=lambda record: record.created, reverse=True)

    def kinds(self) -> list[str]:
        """The kinds of which something exists."""
        with self.lock:
            return [kind for kind, records in self._records.items() if records]

    def add(self, record: Record, tags: Mapping[str, str] | None = None) -> None:
        """Have ``record`` exist; the caller holds the lock and has looked for its name."""
        self._records.setdefault(record.kind, {})[record.name] = record
        self._tags[self.arn(record.kind, record.name)] = dict(tags or {})

    def remove(self, kind: str, name: str) -> None:
        """Forget something and its tags."""
        with self.lock:
            self._records.get(kind, {}).pop(name, None)
            self._tags.pop(self.arn(kind, name), None)

    def dump(self) -> Any:
        """Its state, to be pickled: what runs is left out."""
        with self.lock:
            records = [replace(record, live=None) for kind in self._records.values() for record in kind.values()]
            return records, {arn: dict(tags) for arn, tags in self._tags.items()}

    def load(self, state: Any) -> None:
        """Take over what :meth:`dump` returned."""
        records, tags = state
        with self.lock:
            for record in records:
                self.add(record, tags.get(self.arn(record.kind, record.name)))

    def tags(self, arn: str) -> dict[str, str] | None:
        """The tags of what ``arn`` names, to be changed under the lock; None where this emulator has no such thing."""
        return self._tags.get(arn)
