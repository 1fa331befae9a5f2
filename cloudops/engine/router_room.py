"""How much memory the router gives to bodies that it keeps until their requests are answered."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator


class Room:
    """``total`` bytes for all bodies at once, ``each`` for one; up to ``small`` bytes they are kept in any case.

    The small ones do not count: a few announced uploads must not take from all others what they always have.
    """

    def __init__(self, total: int, each: int, small: int = 0) -> None:
        self.free, self._each, self._small = total, each, small

    @contextlib.contextmanager
    def keep(self, size: int | None) -> Iterator[bool]:
        """Whether a body of ``size`` bytes (None: nobody knows) may be kept for the time of the block."""
        small = size is not None and size <= self._small
        taken = size if size is not None and not small and size <= min(self._each, self.free) else None
        self.free -= taken or 0
        try:
            yield small or taken is not None
        finally:
            self.free += taken or 0
