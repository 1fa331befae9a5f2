"""This user's offline clouds in the background: one server at most, found by its record."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from pathlib import Path

from cloudops.errors import CloudopsError, ConfigError

from .client import Client, of_background
from .keeping import lost
from .launch import launch
from .record import background, exclusive
from .settings import Settings

#: Seconds that a server gets for ending what it runs.
_PATIENCE = 30.0


def start(settings: Settings, given: Collection[str]) -> tuple[Client, list[str]]:
    """The server in the background, started now where none runs; of two calls at once, one starts it.

    Args:
        settings: what it is started with.
        given: the names of those that a server must have that runs already.

    Returns:
        The server, and the providers whose clouds it could not load, one line each.

    Raises:
        ConfigError: one runs with other settings, or these cannot be met.
        MissingDependency: the extra ``offline`` is not installed.
    """
    path = background()
    with exclusive(path):
        running = of_background()
        if running is None:
            path.unlink(missing_ok=True)  # that of a server that was killed
            launched = launch(settings, record=path)
            return Client(launched.record), launched.problems
    wanted, has = settings.to_json(), running.record.settings
    if other := [name for name in given if has.get(name) != wanted[name]]:
        raise ConfigError(
            f"offline clouds run already, at {running.record.url} and with {other[0]} {has.get(other[0])!r}",
            hint="`cloudops offline stop` ends them",
        )
    return running, []


def stop() -> bool:
    """End the server in the background and wait until it is gone; whether there was one.

    Raises:
        CloudopsError: it does not end, or could not write down its state.
    """
    path = background()
    with exclusive(path):
        running = of_background()
        if running is not None:
            with contextlib.suppress(CloudopsError):  # it was just ending
                running.post("stop")
            _wait(running)
        path.unlink(missing_ok=True)
        if running is not None and (text := lost(Path(running.record.folder))):
            raise CloudopsError(f"the offline clouds have ended. {text}")
        return running is not None


def _wait(running: Client) -> None:
    process = running.record.process
    deadline = time.monotonic() + _PATIENCE
    while process.alive():
        if time.monotonic() > deadline:
            raise CloudopsError(
                f"the offline clouds (process {process.pid}) do not end", hint=f"kill {process.pid} ends them"
            )
        time.sleep(0.02)
