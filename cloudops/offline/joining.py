"""What ``--offline`` of a command does: the offline clouds of the environment, else those in the background."""

from __future__ import annotations

import os

from . import background
from .client import of_background, of_environment
from .environment import applied
from .settings import Settings


def join(*, start: bool = True) -> list[str] | None:
    """Lead this process to offline clouds for the rest of its life.

    Args:
        start: whether to start them in the background where none run.

    Returns:
        None where they ran already; else the providers whose clouds could not be loaded, one line each.

    Raises:
        NotFound: the environment leads to offline clouds that have ended.
        MissingDependency: the extra ``offline`` is not installed.
    """
    if of_environment() is not None:
        return None
    client, problems = of_background(), None
    if client is None and start:
        client, problems = background.start(Settings(), given=())
    if client is None:
        return None
    wanted = applied(client.environment(), os.environ)
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)
    return problems
