"""The emulators of the installed providers: found by host, and created on the first request to one of their hosts."""

from __future__ import annotations

import fnmatch
import importlib
import threading
from collections.abc import Callable, Iterator, Sequence

from cloudops.engine.folders import remove
from cloudops.errors import CloudopsError, ConfigError

from .emulator import Emulator, Surroundings

Kind = type[Emulator]


_KEPT = " (with the state that --data kept; `cloudops offline reset` forgets it)"


class Broken(Exception):
    """An emulator cannot be created; the text is one line with the reason."""


class Slot:
    """An emulator's place.

    Args:
        kind: its class.
        surroundings: makes what it is created with.
        kept: whether an earlier server left its state there.
    """

    def __init__(self, kind: Kind, surroundings: Callable[[Kind], Surroundings], kept: bool) -> None:
        self.kind = kind
        self.kept = kept
        self.name = kind.name
        self._surroundings = surroundings
        self._lock = threading.Lock()
        self._emulator: Emulator | None = None
        self._closed = False
        #: Why it could not be created when that was last tried.
        self.problem = ""

    @property
    def running(self) -> Emulator | None:
        """The emulator, where one was needed so far."""
        return self._emulator

    def get(self) -> Emulator:
        """The emulator, created now where that was not needed before.

        Raises:
            Broken: it cannot be.
        """
        emulator = self._emulator  # without the lock: every request comes this way
        if emulator is not None:
            return emulator
        with self._lock:
            if self._closed:
                raise Broken(f"the offline cloud {self.name} has ended")
            if self._emulator is None:
                self._emulator = self._create()
            return self._emulator

    def reset(self) -> None:
        """Empty the emulator; kept state that it cannot be created with is removed."""
        if self.kept and self._emulator is None:
            try:
                self.get()
            except Broken:
                remove(self._surroundings(self.kind).folder)
                self.kept, self.problem = False, ""
        if self._emulator is not None:
            self._emulator.reset()

    def close(self) -> None:
        """End the emulator; none is created afterwards."""
        with self._lock:
            self._closed = True
            if self._emulator is not None:
                self._emulator.close()

    def _create(self) -> Emulator:
        try:
            emulator = self.kind(self._surroundings(self.kind))
        except Exception as error:
            known = isinstance(error, CloudopsError)
            reason = str(error) if known else f"{type(error).__name__}: {error}"
            self.problem = " ".join(reason.split()) + (_KEPT if self.kept and not known else "")
            raise Broken(f"the offline cloud {self.name} cannot be started: {self.problem}") from error
        self.problem = ""
        return emulator


class Emulators:
    """All of them.

    Args:
        kinds: their classes; of two that answer for the same host, the first is asked.
        surroundings: makes what one is created with.
        kept: whether an earlier server left the state of one.
    """

    def __init__(
        self, kinds: Sequence[Kind], surroundings: Callable[[Kind], Surroundings], kept: Callable[[Kind], bool]
    ) -> None:
        self._slots = [Slot(kind, surroundings, kept(kind)) for kind in kinds]
        self._by_host: dict[str, Slot | None] = {}

    def __iter__(self) -> Iterator[Slot]:
        return iter(self._slots)

    def find(self, host: str) -> Slot | None:
        """Who answers for ``host``; None for nobody."""
        if host not in self._by_host:
            self._by_host[host] = next((slot for slot in self._slots if _answers(slot.kind, host)), None)
        return self._by_host[host]

    def running(self) -> Iterator[tuple[Slot, Emulator]]:
        """Those that were created."""
        for slot in self._slots:
            if slot.running is not None:
                yield slot, slot.running


def installed() -> tuple[list[Kind], list[str]]:
    """The emulators that the installed providers bring, and one line for each that cannot be loaded."""
    from cloudops.hookspecs import PROVIDERS
    from cloudops.registry import entry_points, load, provider_info

    kinds, problems = [], []
    for name in sorted(entry_points(PROVIDERS)):
        try:
            info = provider_info(name)
            if info.emulator:
                kinds.append(_checked(load(info, info.emulator), info.emulator))
        except CloudopsError as error:
            problems.append(" ".join(str(error).split()))
    return kinds, problems


def named(path: str) -> Kind:
    """The emulator that ``path`` (``module:Class``) names, which no installed provider brings, or that goes before it.

    Raises:
        ConfigError: it cannot be imported, or is none.
    """
    module, _, attribute = path.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except Exception as error:
        raise ConfigError(
            f"--emulator {path}: {type(error).__name__}: {error}",
            hint="expected module:Class of a module that can be imported (PYTHONPATH)",
        ) from error
    return _checked(found, f"--emulator {path}")


def _checked(found: object, where: str) -> Kind:
    if isinstance(found, type) and issubclass(found, Emulator):
        return found
    raise ConfigError(f"{where} is not an emulator", hint="expected a subclass of cloudops.offline.emulator.Emulator")


def _answers(kind: Kind, host: str) -> bool:
    return any(fnmatch.fnmatchcase(host, pattern) for pattern in kind.hosts)
