"""Folders that programs of others have filled: removed and emptied, whatever is in them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it; silent when it is gone.

    A job may have taken its own folders' permissions away; that does not keep them.

    Raises:
        OSError: something in it cannot be removed.
    """
    for last in (False, True):
        try:
            if folder.exists():
                shutil.rmtree(folder)
            return
        except PermissionError:
            if last:
                raise
            _open_up(folder)
        except OSError:  # a process that was just ended had written one file more
            if last:
                raise


def _open_up(folder: Path) -> None:
    """Give the owner all rights to a folder and those below it, from above: one that is closed cannot be listed."""
    folder.chmod(0o700)
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            _open_up(Path(entry.path))


def empty(folder: Path) -> None:
    """Have an empty folder there. Of a link or a file in its place only that is removed, not what it leads to.

    Raises:
        OSError: something in it cannot be removed.
    """
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    remove(folder)
    folder.mkdir(parents=True)
