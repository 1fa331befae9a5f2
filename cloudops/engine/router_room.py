"""How much memory the router gives to bodies that it keeps until their requests are answered."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class Room:
    """``total`` bytes for all bodies at once, ``each`` for one."""

    def __init__(self, total: int, each: int) -> None:
        self.free, self._each = total, each

    @contextlib.contextmanager
    def keep(self, size: int | None) -> Iterator[bool]:
        """Whether a body of ``size`` bytes (None: nobody knows) may be kept for the time of the block."""
        taken = size if size is not None and size <= min(self._each, self.free) else None
        self.free -= taken or 0
        try:
            yield taken is not None
        finally:
            self.free += taken or 0
