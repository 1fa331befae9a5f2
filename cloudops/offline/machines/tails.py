"""The lines that the engine adds to a log file, as they come."""

from __future__ import annotations

from pathlib import Path

_CHUNK = 4 << 20


class LogTail:
    """The lines that the engine adds to a log file, in the order in which they were read from a process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def lines(self) -> list[tuple[float, str]]:
        """Time (epoch seconds) and text of the lines that were added since the last call, some MiB at most."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read(_CHUNK)
        except FileNotFoundError:
            return []
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        found = []
        for line in whole.split(b"\n")[:-1]:
            stamp, _, text = line.partition(b" ")
            found.append((float(stamp), text.decode("utf-8", "replace")))
        return found
