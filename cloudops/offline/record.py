"""The file that says where a server is and how to speak to it; only its owner may read it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from cloudops.engine.files import locked, read_json
from cloudops.engine.process import ProcessId
from cloudops.errors import ConfigError


@dataclass(frozen=True)
class Record:
    """A running server.

    Args:
        url: of the proxy and of the control API.
        token: of the control API.
        process: the server's.
        folder: the server's own.
        settings: what it was started with.
    """

    url: str
    token: str
    process: ProcessId
    folder: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Replace the file. Raises OSError."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
                json.dump(asdict(self), file)
            os.replace(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    @classmethod
    def parse(cls, value: Mapping[str, Any]) -> Record:
        """The record that :meth:`write` wrote. Raises KeyError or TypeError where it is none."""
        process = ProcessId.from_json(value["process"])
        if process is None:
            raise KeyError("process")
        return cls(value["url"], value["token"], process, value["folder"], value["settings"])

    @classmethod
    def read(cls, path: Path) -> Record | None:
        """The record of a server that runs; None where there is none, or none any more."""
        with contextlib.suppress(ValueError, KeyError, TypeError, OSError):
            value = read_json(path)
            found = cls.parse(value) if value is not None else None
            return found if found is not None and found.process.alive() else None
        return None


def background() -> Path:
    """Where the record of this user's offline cloud in the background lies; its folder is made.

    Raises:
        ConfigError: it cannot be made.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    folder = Path(cache) / "cloudops" / "offline"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
    except OSError as error:
        raise ConfigError(
            f"{folder} cannot be written: {error.strerror}", hint="set XDG_CACHE_HOME to a folder of yours"
        ) from error
    return folder / "server.json"


@contextlib.contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Let nobody else start or stop the server of the record ``path`` during the block."""
    try:
        with locked(path.with_name("lock")):
            yield
    except OSError as error:
        if error.filename != str(path.with_name("lock")):
            raise
        raise ConfigError(f"{error.filename} cannot be written: {error.strerror}") from error
