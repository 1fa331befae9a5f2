"""Folders that programs of others have filled: removed and emptied, whatever is in them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it; silent when it is gone.

    A job may have taken its own folders' write permission away; that does not keep them.

    Raises:
        OSError: something in it cannot be removed.
    """

    def once_more(function: Callable[[str], object], path: str, _: object) -> None:
        if not os.path.lexists(path):
            return
        os.chmod(Path(path).parent, 0o700)
        if os.path.isdir(path) and not os.path.islink(path):
            os.chmod(path, 0o700)
            shutil.rmtree(path)
        else:
            function(path)

    if folder.exists():
        shutil.rmtree(folder, onerror=once_more)


def empty(folder: Path) -> None:
    """Have an empty folder there. Of a link or a file in its place only that is removed, not what it leads to.

    Raises:
        OSError: something in it cannot be removed.
    """
    if folder.is_symlink() or folder.is_file():
        folder.unlink()
    remove(folder)
    folder.mkdir(parents=True)
