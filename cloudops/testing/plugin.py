"""The pytest plugin: a marker, and readable assertions in the contracts. Loaded in every run, so it does no more."""

from __future__ import annotations

import pytest

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


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker that :func:`cloudops.testing.requires` sets."""
    config.addinivalue_line(
        "markers",
        "requires_capability(*capabilities): skip, with the declared reason, where the rig's provider lacks one",
    )
