"""What the whole emulated cloud shares: clock, faults, folders, projects, and the stores of its services."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from .entries import Entries
from .projects import Projects
from .series import Series
from .tokens import Tokens

if TYPE_CHECKING:
    from cloudops.offline.emulator import Surroundings


class Site:
    """The emulated cloud on this machine.

    Args:
        surroundings: clock, faults, folder, images.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        self.surroundings = surroundings
        self.clock = surroundings.clock
        self.faults = surroundings.faults
        self.projects = Projects()
        self.entries = Entries()
        self.series = Series()
        self.tokens = Tokens()
        #: Permissions that callers do not have, patterns as in ``fnmatch``.
        self.denied: set[str] = set()

    def may(self, permission: str) -> bool:
        """Whether callers have a permission, such as ``aiplatform.endpoints.predict``."""
        return not any(fnmatch.fnmatchcase(permission, pattern) for pattern in self.denied)
