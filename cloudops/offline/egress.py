"""Which hosts were asked for that no offline cloud answers for."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True)
class Refused:
    """A host that was refused.

    Args:
        host: its name.
        port: that was asked for.
        count: how often.
        first: epoch seconds, by this machine's clock.
        last: epoch seconds.
    """

    host: str
    port: int
    count: int
    first: float
    last: float

    def __str__(self) -> str:
        return f"{self.host}:{self.port} ({'once' if self.count == 1 else f'{self.count} times'})"


class Egress:
    """The refused hosts so far."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hosts: dict[tuple[str, int], Refused] = {}

    def add(self, host: str, port: int) -> None:
        """Count one more refusal."""
        now = time.time()
        with self._lock:
            known = self._hosts.setdefault((host, port), Refused(host, port, 0, now, now))
            known.count += 1
            known.last = now

    def hosts(self) -> list[dict[str, Any]]:
        """The members of each :class:`Refused`, in the order of the first refusal."""
        with self._lock:
            return [asdict(refused) for refused in self._hosts.values()]

    def clear(self) -> None:
        """Forget them."""
        with self._lock:
            self._hosts.clear()


def report(hosts: Sequence[dict[str, Any]], direct: Sequence[str]) -> list[str]:
    """The egress report in lines: what was refused, and in its head what was never asked to come this way.

    Args:
        hosts: as :meth:`Egress.hosts` gives them.
        direct: the package indexes that jobs reach without the proxy.
    """
    exception = [f"offline: jobs reach package indexes directly: {', '.join(direct)}"] if direct else []
    count = {0: "no host was", 1: "1 host was"}.get(len(hosts), f"{len(hosts)} hosts were")
    return [*exception, f"offline: {count} refused", *(f"  {Refused(**host)}" for host in hosts)]
