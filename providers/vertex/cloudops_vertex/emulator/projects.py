"""Projects: their ids and their numbers. Names in answers carry the number, whatever the request had."""

from __future__ import annotations

import hashlib
import threading


class Projects:
    """Those that somebody has named; each id has a number of twelve digits that follows from it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: dict[str, str] = {}

    def number(self, project: str) -> str:
        """The number of a project that is named by its id, or by that number already."""
        if project.isdecimal():
            return project
        number = str(100_000_000_000 + int(hashlib.sha256(project.encode()).hexdigest(), 16) % 900_000_000_000)
        with self._lock:
            self._ids[number] = project
        return number

    def id(self, project: str) -> str:
        """The id of a project; the number itself where nobody has named its id so far."""
        with self._lock:
            return self._ids.get(project, project)

    def known(self) -> dict[str, str]:
        """Numbers to ids."""
        with self._lock:
            return dict(self._ids)
