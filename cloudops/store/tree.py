"""The files of a folder, found by one walk that never enters what does not belong to it."""

from __future__ import annotations

import os
import stat
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple

from cloudops.errors import ConfigError

from .ignore import IGNORE_FILES, Rules, rules_above

#: cloudops's own folder: neither code nor data, and it changes while it is looked at.
_OWN = ".cloudops"


class Entry(NamedTuple):
    """A file.

    Args:
        name: its path from the folder, with ``/``; bytes that are not UTF-8 are kept as surrogates.
        path: where it is read.
        status: what ``stat`` says about the content, links followed.
    """

    name: str
    path: str
    status: os.stat_result


def code_files(root: Path) -> list[Entry]:
    """The files that belong to the code folder ``root``, sorted by name.

    Links are followed when they stay inside the folder. Sockets, pipes and devices are left out, as git does.

    Raises:
        ConfigError: ``root`` is no folder; something in it cannot be read; a link dangles, leads out or in a circle.
    """
    top = _folder(root)
    return _Walk(top, inside=True).files(rules_above(Path(top)))


def data_files(root: Path) -> list[Entry]:
    """All files below the data folder ``root``, sorted by name; links may lead anywhere.

    Raises:
        ConfigError: ``root`` is no folder; something in it cannot be read; a link dangles or leads in a circle.
    """
    return _Walk(_folder(root), inside=False).files(None)


def _folder(root: Path) -> str:
    try:
        top = os.path.realpath(root, strict=True)
    except OSError as error:
        raise ConfigError(f"{root} cannot be read: {error.strerror}", hint="name an existing folder") from error
    if not os.path.isdir(top):
        raise ConfigError(f"{root} is not a folder")
    return top


class _Walk:
    """One walk; ``inside`` says that links must not leave ``top``."""

    def __init__(self, top: str, *, inside: bool) -> None:
        self._top = top
        self._inside = inside
        self._found: list[Entry] = []

    def files(self, rules: Rules | None) -> list[Entry]:
        self._folder(self._top, "", rules, (self._top,))
        self._found.sort(key=itemgetter(0))
        return self._found

    def _folder(self, path: str, prefix: str, rules: Rules | None, trail: tuple[str, ...]) -> None:
        """Add what is in a folder; ``trail`` holds the real paths of the folders that the walk is in."""
        try:
            with os.scandir(path) as listing:
                entries = list(listing)
        except OSError as error:
            raise self._unreadable(prefix or path, error) from error
        if rules and any(entry.name in IGNORE_FILES for entry in entries):
            rules = rules.reading(path)
        for entry in entries:
            name = prefix + entry.name
            if entry.is_symlink():
                self._link(entry, name, rules, trail)
            elif entry.is_dir(follow_symlinks=False):
                self._child(entry, name, rules, trail, os.path.join(trail[-1], entry.name))
            elif not self._out(rules, entry.name, False):
                self._file(entry, name)

    def _child(
        self, entry: os.DirEntry[str], name: str, rules: Rules | None, trail: tuple[str, ...], real: str
    ) -> None:
        if not self._out(rules, entry.name, True):
            inner = rules.below(entry.name) if rules else None
            self._folder(entry.path, name + "/", inner, (*trail, real))

    def _file(self, entry: os.DirEntry[str], name: str) -> None:
        try:
            status = entry.stat()
        except FileNotFoundError:
            return  # deleted since the folder was listed
        except OSError as error:
            raise self._unreadable(name, error) from error
        if stat.S_ISREG(status.st_mode):
            self._found.append(Entry(name, entry.path, status))

    def _link(self, entry: os.DirEntry[str], name: str, rules: Rules | None, trail: tuple[str, ...]) -> None:
        # A link may be ignored by a pattern for folders even where its target is gone.
        if self._out(rules, entry.name, False) or (
            self._out(rules, entry.name, True) and not os.path.isfile(entry.path)
        ):
            return
        try:
            target = os.path.realpath(entry.path, strict=True)
        except OSError as error:
            raise self._bad_link(name, f"leads to {os.readlink(entry.path)!r}: {error.strerror}") from error
        if self._inside and os.path.commonpath((self._top, target)) != self._top:
            raise self._bad_link(name, f"leads out of the folder, to {target}")
        if not os.path.isdir(target):
            self._file(entry, name)
        elif target in trail:
            raise self._bad_link(name, f"leads in a circle, back to {target}")
        else:
            self._child(entry, name, rules, trail, target)

    def _out(self, rules: Rules | None, name: str, is_folder: bool) -> bool:
        return name == _OWN if rules is None else rules.leave_out(name, is_folder)

    def _bad_link(self, name: str, what: str) -> ConfigError:
        hint = "replace it by a copy, or list it in .cloudopsignore" if self._inside else "repair or delete it"
        return ConfigError(f"{self._top}: the link {name!r} {what}", hint=hint)

    def _unreadable(self, name: str, error: OSError) -> ConfigError:
        hint = "change its permissions" + (", or list it in .cloudopsignore" if self._inside else "")
        return ConfigError(f"{self._top}: {name!r} cannot be read: {error.strerror}", hint=hint)
