"""The pytest plugin: a marker, two fixtures, and readable assertions in the contracts.

It is loaded in every run of every project that has cloudops installed, so what it needs is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from cloudops.offline import OfflineCloud

_CONTRACTS = (
    "deploy_answers",
    "deploy_rollout",
    "errors",
    "lifecycle",
    "monitor",
    "train_batch",
    "train_given",
    "train_life",
    "train_told",
)

pytest.register_assert_rewrite(*(f"cloudops.testing.{name}" for name in _CONTRACTS))


def pytest_addoption(parser: pytest.Parser) -> None:
    """What the offline clouds of the fixtures are started with, as in ``cloudops offline run``."""
    parser.addini("cloudops_offline_images", "PATTERN=PYTHON: interpreters that stand for images", type="linelist")
    parser.addini("cloudops_offline_emulators", "module:Class of emulators that no provider brings", type="linelist")
    parser.addini("cloudops_offline_speed", "seconds of the offline clock in a real one", default="1")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker that :func:`cloudops.testing.requires` sets."""
    config.addinivalue_line(
        "markers",
        "requires_capability(*capabilities): skip, with the declared reason, where the rig's provider lacks one",
    )


@pytest.fixture(scope="session")
def cloudops_offline_session(pytestconfig: pytest.Config) -> Iterator[OfflineCloud]:
    """Offline clouds for the whole session, which lead this process there from the first use to the end.

    Their state is kept from test to test.
    """
    from . import offline

    with offline.for_session(pytestconfig) as cloud:
        yield cloud


@pytest.fixture(scope="session")
def _cloudops_offline_server(pytestconfig: pytest.Config) -> Iterator[OfflineCloud]:
    """The server behind :func:`cloudops_offline`."""
    from . import offline

    with offline.server(pytestconfig) as cloud:
        yield cloud


@pytest.fixture
def cloudops_offline(_cloudops_offline_server: OfflineCloud) -> Iterator[OfflineCloud]:
    """Offline clouds that are empty at first, and lead this process there for the test."""
    from . import offline

    with offline.for_test(_cloudops_offline_server) as cloud:
        yield cloud
