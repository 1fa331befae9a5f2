"""What the whole emulated cloud shares: clock, faults, folders, projects, and the stores of its services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .entries import Entries
from .projects import Projects
from .series import Series

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
