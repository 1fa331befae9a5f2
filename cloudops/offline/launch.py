"""Starting a server: one that ends with this process, or one in the background that outlives it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudops import errors
from cloudops.errors import CloudopsError, ConfigError

from .environment import for_server
from .keeping import lost
from .record import Record
from .settings import Settings

_PREFIX = "cloudops-offline-"


@dataclass
class Launched:
    """A server that was just started.

    Args:
        record: how it is reached.
        process: its process, a child of this one.
        parent: the pipe that ends it when it is closed; None in the background.
        problems: the providers whose clouds could not be loaded, one line each.
    """

    record: Record
    process: subprocess.Popen[bytes]
    parent: int | None
    problems: list[str]

    def end(self) -> str:
        """End it, and wait until all that it ran is gone. What is not kept, with ``--data``; empty for nothing."""
        if self.parent is not None:
            os.close(self.parent)
            self.parent = None
        self.process.wait()
        return lost(Path(self.record.folder))


def launch(settings: Settings, *, record: Path | None = None) -> Launched:
    """Start a server and return once it serves.

    Args:
        settings: what it is started with.
        record: where it writes how it is reached, for a server in the background; None: it ends with this process.

    Raises:
        ConfigError: the settings cannot be met: a port in use, a folder that cannot be written, ...
        MissingDependency: the extra ``offline`` is not installed.
        CloudopsError: it does not start.
    """
    folder = _place(settings)
    path = record or folder / "server.json"
    parent_read, parent_write = os.pipe() if record is None else (None, None)
    hello_read, hello_write = os.pipe()
    given = [hello_write] + ([] if parent_read is None else [parent_read])
    process = None
    try:
        with os.fdopen(hello_read, "rb") as hello:
            _make(folder, settings)
            process = _spawn(settings, folder, path, hello_write, parent_read)
            for descriptor in given:
                os.close(descriptor)
            given.clear()
            problems = _heard(hello.readline(), folder)
        found = Record.read(path)
        if found is None:
            raise CloudopsError("the offline cloud ended as soon as it had begun", hint=_last_words(folder))
    except BaseException:
        for descriptor in [*given, *([] if parent_write is None else [parent_write])]:
            os.close(descriptor)
        _give_up(process, folder, temporary=not settings.data)
        raise
    if record is not None:
        process.returncode = 0  # it is meant to outlive us: without this, Popen warns when it is collected
    return Launched(found, process, parent_write, problems)


def _place(settings: Settings) -> Path:
    """Where the server's own folder is to be: that of ``--data``, or a new one.

    Nothing is made yet, so that an interruption finds no folder whose name nobody knows.
    """
    try:
        temporary = settings.data or f"{tempfile.gettempdir()}/{_PREFIX}{secrets.token_hex(6)}"
    except OSError as error:
        raise _unwritable("the folder for temporary files", error) from error
    return Path(temporary).resolve()


def _make(folder: Path, settings: Settings) -> None:
    try:
        folder.mkdir(mode=0o700, parents=bool(settings.data), exist_ok=bool(settings.data))
        if settings.data:
            _check_ours(folder)
        (folder / "server.log").touch()
    except OSError as error:
        raise _unwritable(error.filename or str(folder), error) from error


def _unwritable(where: str, error: OSError) -> ConfigError:
    return ConfigError(
        f"{where} cannot be written: {error.strerror}",
        hint="--data names a folder of yours; without it, TMPDIR is where the server's folder is made",
    )


def _check_ours(folder: Path) -> None:
    """Leave alone what is no offline cloud's, such as the working directory."""
    names = os.listdir(folder)
    if names and "server.log" not in names:
        raise ConfigError(
            f"{folder} is not empty and holds no state of offline clouds", hint="name a new folder with --data"
        )


def _spawn(settings: Settings, folder: Path, record: Path, hello: int, parent: int | None) -> subprocess.Popen[bytes]:
    arguments = {
        "settings": settings.to_json(),
        "folder": str(folder),
        "temporary": not settings.data,
        "record": str(record),
        "hello": hello,
        "parent": parent,
    }
    with (folder / "server.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "cloudops.offline.server", json.dumps(arguments)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=for_server(os.environ),
            start_new_session=True,
            pass_fds=[hello] if parent is None else [hello, parent],
        )


def _heard(line: bytes, folder: Path) -> list[str]:
    """The problems that a server told in its first line. Raises what is wrong, where it does not serve."""
    if not line:
        raise CloudopsError("the offline cloud did not start", hint=_last_words(folder))
    said: Mapping[str, Any] = json.loads(line)
    if "error" not in said:
        return list(said["problems"])
    error = said["error"]
    if error["type"] == "OSError":
        raise ConfigError(f"the offline cloud cannot start: {error['message']}")
    kind = getattr(errors, error["type"], CloudopsError)
    raise kind(error["message"], hint=error["hint"])


def _last_words(folder: Path) -> str:
    with contextlib.suppress(OSError):
        lines = (folder / "server.log").read_text(encoding="utf-8", errors="replace").splitlines()
        if lines:
            return f"its last words: {lines[-1][:300]}"
    return "it left no word; is the disk full?"


def _give_up(process: subprocess.Popen[bytes] | None, folder: Path, *, temporary: bool) -> None:
    if process is not None:
        with contextlib.suppress(OSError):
            process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if temporary:
        shutil.rmtree(folder, ignore_errors=True)
