"""Whether a process has a file open for writing, which the system tells to those who ask for a lease on it."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path


def being_written(path: Path) -> bool:
    """Whether some process has the file open for writing; False where the system does not tell.

    Cloud Storage FUSE makes a new file an object when it is closed. A lease is refused while somebody writes
    (fcntl(2), F_SETLEASE); it is given back at once, and a writer who comes in between waits for that.
    """
    import fcntl

    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        # Who opens the file in between has this process told by a signal: one that does nothing by itself.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(descriptor)
    return False
