"""The fixtures ``cloudops_offline`` and ``cloudops_offline_session`` of the pytest plugin.

Each is backed by a server of its own in each pytest process, started when a test first asks for it; the workers of
pytest-xdist share none.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import pytest

from cloudops.errors import ConfigError
from cloudops.offline import OfflineCloud

__all__ = ["for_session", "for_test", "server"]


@contextlib.contextmanager
def server(config: pytest.Config) -> Iterator[OfflineCloud]:
    """Offline clouds that end with the block; a provider whose cloud cannot be loaded is a warning."""
    with OfflineCloud(
        images=config.getini("cloudops_offline_images"),
        emulators=config.getini("cloudops_offline_emulators"),
        speed=_speed(config.getini("cloudops_offline_speed")),
    ) as cloud:
        for problem in cloud.problems:
            warnings.warn(problem, stacklevel=2)
        yield cloud


@contextlib.contextmanager
def for_session(config: pytest.Config) -> Iterator[OfflineCloud]:
    """Offline clouds that this process is led to for the block."""
    with server(config) as cloud, cloud.active():
        yield cloud


@contextlib.contextmanager
def for_test(cloud: OfflineCloud) -> Iterator[OfflineCloud]:
    """The clouds of ``cloud``, empty, and this process led there for the block."""
    cloud.reset()
    with cloud.active():
        yield cloud


def _speed(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(f"cloudops_offline_speed = {text}: expected a number") from None
