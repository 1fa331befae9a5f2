"""Paths with wildcards: the files that match, and their names below the part of the path without any."""

from __future__ import annotations

import glob
import os
from pathlib import PurePath

from cloudops.errors import ConfigError


def has_wildcard(path: str) -> bool:
    """Whether ``path`` holds ``*``, ``?`` or ``[``."""
    return glob.has_magic(path)


def matches(pattern: str) -> list[tuple[str, str]]:
    """Name and path of each file that matches ``pattern``, sorted; ``**`` stands for any folders.

    Args:
        pattern: an absolute path. Names start below its last folder without a wildcard.

    Raises:
        ConfigError: no file matches.
    """
    base = fixed_part(pattern)
    paths = sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))
    if not paths:
        raise ConfigError(f"no file matches {pattern}", hint=f"look at what is in {base}")
    return [(os.path.relpath(path, base), path) for path in paths]


def fixed_part(pattern: str) -> str:
    """The folder above the first wildcard of an absolute pattern."""
    parts = PurePath(pattern).parts
    first = next(index for index, part in enumerate(parts) if has_wildcard(part))
    return str(PurePath(*parts[:first]))
