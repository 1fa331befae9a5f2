"""``desired.json`` as a process of the endpoint follows it: what is new in it, and whether it is still there."""

from __future__ import annotations

from .service_paths import Paths
from .service_types import Desired

#: So many looks have to find nothing, whatever the time: one may fall into a moment in which files are moved about.
_LOOKS = 3


class DesiredFile:
    """The file of the endpoint whose life is ``life``.

    ``problem`` is one line where the file is damaged, else "". ``gone`` is true once the file, its folder, or this
    endpoint in it (another one was deployed there) has been missing for ``patience`` seconds: nobody can ask for
    anything any more, so what runs has to end.
    """

    def __init__(self, paths: Paths, life: str, *, patience: float) -> None:
        self._paths, self._life, self._patience = paths, life, patience
        self.problem = ""
        self.gone = False
        self._stamp: tuple[int, int] | None = None
        self._misses = 0
        self._missed_since = 0.0

    def look(self, now: float) -> Desired | None:
        """What clients want, where that is new, at second ``now`` of a clock that is never set."""
        try:
            status = self._paths.desired.stat()
        except (FileNotFoundError, NotADirectoryError):
            self._miss(now)
            return None
        except OSError:  # nothing that a disk refuses to tell ends an endpoint
            return None
        stamp = status.st_mtime_ns, status.st_ino
        if stamp == self._stamp:
            self._found(stamp)
            return None
        return self._take(stamp, now)

    def _take(self, stamp: tuple[int, int], now: float) -> Desired | None:
        try:
            found = self._paths.read_desired()
        except OSError:
            return None
        except ValueError as error:
            self._found(stamp)
            self.problem = f"{error}; until then it serves what was asked for before"
            return None
        if found is None or found.life != self._life:
            self._miss(now)
            return None
        self._found(stamp)
        self.problem = ""
        return found

    def _found(self, stamp: tuple[int, int]) -> None:
        self._stamp, self.gone = stamp, False
        self._misses = 0

    def _miss(self, now: float) -> None:
        self._stamp = None
        self._misses += 1
        if self._misses == 1:
            self._missed_since = now
        self.gone = self._misses >= _LOOKS and now - self._missed_since >= self._patience
