"""Small files that several processes read and write: atomic JSON and advisory locks."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def write_json(path: Path, value: Any) -> None:
    """Replace ``path`` by the JSON text of ``value`` so that a reader sees the old or the new one, never half.

    Raises:
        OSError: the disk is full or the directory is gone; the old file is then untouched.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}.tmp")
    try:
        temporary.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def read_json(path: Path) -> Any:
    """The value in ``path``, or None where there is no such file.

    Raises:
        ValueError: the file does not hold JSON; the message names it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path} is damaged (not JSON: {error}); delete it or restore it") from error


class Lock:
    """An advisory lock on a file, held by at most one process and freed by the kernel when it dies.

    That last property makes it the sign of life of a supervisor: whoever can take the lock knows that the
    supervisor is gone, whatever its process id is used for by now. The lock belongs to the open file, so a child
    that inherits :attr:`descriptor` holds it on after its parent has released it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor: int | None = None

    def acquire(self) -> bool:
        """Take the lock if it is free; False where another process holds it."""
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while not _flock(descriptor, fcntl.LOCK_EX):
            # Readers that only look hold it shared for an instant: they must not be taken for a holder.
            if not _flock(descriptor, fcntl.LOCK_SH):
                os.close(descriptor)
                return False
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            time.sleep(0.001)
        self.descriptor = descriptor
        return True

    def release(self) -> None:
        """Give the lock back; nothing happens where it is not held."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def held_by_someone(self) -> bool:
        """Whether any process (this one included) holds the lock now; looking disturbs nobody who looks too."""
        if self.descriptor is not None:
            return True
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not _flock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)


def _flock(descriptor: int, kind: int) -> bool:
    """Take a lock of that kind if that needs no waiting."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock on ``path`` for the block, waiting for it as long as it takes."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
