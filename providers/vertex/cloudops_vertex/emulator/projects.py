"""Projects: every id is one, and has a number of twelve digits that follows from it."""

from __future__ import annotations

import hashlib
import re
import threading

#: As Resource Manager has it; ids of domains (``example.com:name``) and ids that services own may be shorter.
_ID = re.compile(r"(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{1,61}[a-z0-9]")
_NUMBER = re.compile(r"[0-9]{1,19}")


class Projects:
    """The ids that were seen, so that a number leads back to one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: dict[str, str] = {}

    def number(self, project: str) -> str:
        """The number of a project by its id or number; the id is remembered."""
        if _NUMBER.fullmatch(project):
            return project
        found = number_of(project)
        with self._lock:
            self._ids[found] = project
        return found

    def id(self, project: str) -> str | None:
        """The id of a project by its id or number; None for a number that no id seen so far has, and for what is
        neither."""
        if _NUMBER.fullmatch(project):
            with self._lock:
                return self._ids.get(project)
        if not _ID.fullmatch(project):
            return None
        self.number(project)
        return project

    def seen(self) -> list[str]:
        """The ids, in the order of the alphabet."""
        with self._lock:
            return sorted(self._ids.values())

    def reset(self) -> None:
        """Forget all ids."""
        with self._lock:
            self._ids.clear()

    def dump(self) -> list[str]:
        """What :meth:`load` takes."""
        return self.seen()

    def load(self, state: list[str]) -> None:
        """Remember ids."""
        for project in state:
            self.number(project)


def number_of(project: str) -> str:
    """The number that a project with an id has, on every machine."""
    digest = int.from_bytes(hashlib.sha256(project.encode()).digest()[:8], "big")
    return str(10**11 + digest % (9 * 10**11))
