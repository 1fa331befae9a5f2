"""What a server is started with; checked by whoever starts it, so that a mistake is told before anything runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cloudops.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server is started with.

    Args:
        data: the folder that keeps the clouds' state; empty: in memory.
        port: 0 for a free one.
        speed: seconds of the offline clock in one second of the machine's.
        seed: of the faults that happen with a probability.
        images: pattern of a container image to the Python interpreter that stands for it.
        emulators: ``module:Class`` of emulators that no installed provider brings, or that goes before it.
        index_credentials: whether jobs get the caller's credentials for package indexes.
    """

    data: str = ""
    port: int = 0
    speed: float = 1.0
    seed: int = 0
    images: Mapping[str, str] = field(default_factory=dict)
    emulators: Sequence[str] = ()
    index_credentials: bool = False

    def to_json(self) -> dict[str, Any]:
        """A JSON object with its members."""
        return {**asdict(self), "emulators": list(self.emulators)}


def settings(
    *,
    data: str | os.PathLike[str] | None = None,
    port: int = 0,
    speed: float = 1.0,
    seed: int = 0,
    images: Mapping[str, str] | Iterable[str] = (),
    emulators: Sequence[str] = (),
    index_credentials: bool = False,
) -> Settings:
    """Settings in which every path is absolute.

    Args:
        data: see :class:`Settings`; so are the others.
        port: as there.
        speed: as there.
        seed: as there.
        images: a mapping, or texts such as ``*/my-image:*=/opt/venv/bin/python``.
        emulators: as there.
        index_credentials: as there.

    Raises:
        ConfigError: a value makes no sense.
    """
    if not 0 < speed < 1e9:
        raise ConfigError(f"speed {speed:g}: expected more than 0, such as 60 for a minute in each second")
    if not 0 <= port < 65536:
        raise ConfigError(f"port {port}: expected 1 to 65535, or 0 for a free one")
    if data is not None and not os.fspath(data):
        raise ConfigError("--data: expected a folder, got nothing")
    pairs = images.items() if isinstance(images, Mapping) else map(_pair, images)
    folder = os.path.abspath(data) if data is not None else ""
    if folder and os.path.exists(folder) and not os.path.isdir(folder):
        raise ConfigError(f"{folder} is no folder", hint="--data names the folder that keeps the offline clouds' state")
    table = {pattern: _interpreter(pattern, python) for pattern, python in pairs}
    return Settings(folder, port, speed, seed, table, tuple(emulators), index_credentials)


def _pair(text: str) -> tuple[str, str]:
    pattern, equals, python = text.rpartition("=")
    if not (equals and pattern and python):
        raise ConfigError(
            f"--image {text}: expected PATTERN=PYTHON", hint="such as '*/my-image:*=/opt/venv/bin/python'"
        )
    return pattern, python


def _interpreter(pattern: str, python: str) -> str:
    found = shutil.which(os.path.expanduser(python))
    if found is None:
        what = "cannot be run" if Path(python).exists() else "does not exist"
        raise ConfigError(f"--image {pattern}={python}: {python} {what}", hint="expected a Python interpreter")
    return os.path.abspath(found)
