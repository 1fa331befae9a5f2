"""Which files of a code folder belong to it.

``.gitignore`` files decide as they do for git, the folder's own and those above it up to the repository's top (where
there is no repository: up to the folder of ``cloudops.yaml``). ``.cloudopsignore`` files have the same syntax and win
over all of them: ``!weights.bin`` in one brings back what ``.gitignore`` leaves out. What a person's own git
configuration ignores is not looked at, so that a folder has the same content on every machine.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from cloudops.errors import ConfigError

from .gitignore import Patterns

#: Files with patterns, the stronger first.
IGNORE_FILES = (".cloudopsignore", ".gitignore")
#: Never part of a code folder, whatever the patterns say.
ALWAYS_OUT = frozenset({".git", ".cloudops", "__pycache__", ".venv"})


class _Layer(NamedTuple):
    """An ignore file's patterns and the length of its folder's path, counted from the top."""

    patterns: Patterns
    start: int


class Rules(NamedTuple):
    """The patterns that hold in one folder.

    Args:
        prefix: the folder's path from the top, ending in ``/``; empty at the top.
        layers: for each of :data:`IGNORE_FILES`, those that were met on the way, the nearest first.
    """

    prefix: str
    layers: tuple[tuple[_Layer, ...], ...]

    def below(self, name: str) -> Rules:
        """The rules of the child folder ``name``, its own ignore files not yet read."""
        return Rules(f"{self.prefix}{name}/", self.layers)

    def reading(self, folder: str) -> Rules:
        """These rules and those of the ignore files in ``folder``, the path of the folder in which they hold."""
        layers = []
        for file, outer in zip(IGNORE_FILES, self.layers, strict=True):
            patterns = _patterns(os.path.join(folder, file))
            layers.append((_Layer(patterns, len(self.prefix)), *outer) if patterns else outer)
        return Rules(self.prefix, tuple(layers))

    def leave_out(self, name: str, is_folder: bool) -> bool:
        """Whether the entry ``name`` of this folder does not belong to the code."""
        if name in ALWAYS_OUT or name.endswith(".pyc"):
            return True
        for layers in self.layers:
            for patterns, start in layers:
                decision = patterns.decide(name, self.prefix[start:], is_folder)
                if decision is not None:
                    return decision
        return False


def rules_above(root: Path) -> Rules:
    """The rules that hold in the code folder ``root``, its own ignore files not yet read.

    Raises:
        ConfigError: an ignore file cannot be read.
    """
    folder = _top(root)
    rules = Rules("", ((), ()))
    for name in root.relative_to(folder).parts:
        rules = rules.reading(str(folder))
        if rules.leave_out(name, True):
            # The folder was named explicitly, so it is wanted although the project ignores it.
            return Rules("", ((), ()))
        rules = rules.below(name)
        folder /= name
    return rules


def _top(root: Path) -> Path:
    folders = (root, *root.parents)
    for mark in (".git", "cloudops.yaml"):
        found = next((folder for folder in folders if (folder / mark).exists()), None)
        if found is not None:
            return found
    return root


def _patterns(path: str) -> Patterns | None:
    try:
        with open(path, encoding="utf-8-sig", errors="surrogateescape", newline="\n") as file:
            return Patterns(file)
    except (FileNotFoundError, IsADirectoryError):
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="make it readable or delete it") from error
