"""Whether a server with ``--data`` has written down its state: a mark lies in its folder from its start until then.

A mark that is removed, and not one that is made: on a full disk nothing can be made.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

_MARK = "running"


def begin(folder: Path, pid: int) -> None:
    """Mark that the state of ``folder`` is that of a server, the process ``pid``. Raises OSError."""
    (folder / _MARK).write_text(str(pid), encoding="utf-8")


def end(folder: Path) -> None:
    """Take the mark back: all of the state is in the folder."""
    with contextlib.suppress(OSError):
        (folder / _MARK).unlink(missing_ok=True)


def holder(folder: Path) -> str:
    """The process that has made the mark; empty where there is none."""
    with contextlib.suppress(OSError):
        return (folder / _MARK).read_text(encoding="utf-8")
    return ""


def lost(folder: Path) -> str:
    """What is lost of a server that has ended, in one line; empty for nothing."""
    if not (folder / _MARK).exists():
        return ""
    return f"{folder}: what was made since the last start is not kept there; {folder / 'server.log'} may say why"
