"""Files that are written in full or not at all, and one clear line when the disk refuses."""

from __future__ import annotations

import contextlib
import errno
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cloudops.errors import CloudopsError

BUFFER = 1 << 20
_UNFINISHED = ".tmp-"
#: Seconds after which an unfinished file is taken to be that of a process that was killed.
_ABANDONED = 3600.0


@contextlib.contextmanager
def unfinished(folder: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """A new file in ``folder``, deleted at the end of the block unless it was renamed by then.

    Raises:
        CloudopsError: the disk is full, or ``folder`` cannot be written. Any OSError of the block is taken for that.
    """
    temporary: Path | None = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=_UNFINISHED)
        temporary = Path(name)
        with open(descriptor, "wb", buffering=BUFFER) as file:
            yield file, temporary
    except OSError as error:
        if isinstance(error, CloudopsError):
            raise
        raise cannot_write(folder, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def cannot_write(place: Path, error: OSError) -> CloudopsError:
    """One clear line for a file system that refuses to take what is written to ``place``."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = "free some space and run again" if full else "check its permissions and that the disk works"
    return CloudopsError(f"cannot write to {place}: {error.strerror or error}", hint=hint)


def _sweep(folder: Path) -> None:
    """Delete what killed processes left unfinished."""
    for path in folder.glob(_UNFINISHED + "*"):
        with contextlib.suppress(OSError):
            if path.stat().st_mtime < time.time() - _ABANDONED:
                path.unlink()
