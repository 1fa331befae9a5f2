"""What all contracts share: the gate that capabilities are, and a way to stand in for a part of a provider."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import pytest

if TYPE_CHECKING:
    from cloudops.provider import Capability, Provider

    from .rig import Rig

Test = TypeVar("Test", bound=Callable[..., Any])


def requires(*capabilities: Capability) -> Callable[[Test], Test]:
    """Mark a test that is skipped, with the declared reason, where the provider lacks a capability."""
    mark: Callable[[Test], Test] = pytest.mark.requires_capability(*capabilities)
    return mark


class Contract:
    """The base of every contract.

    A subclass, or its module, has a fixture ``rig`` of class scope or wider: a :class:`cloudops.testing.Rig`.
    """

    @pytest.fixture(autouse=True)
    def _capabilities(self, request: pytest.FixtureRequest, rig: Rig) -> None:
        for marker in request.node.iter_markers("requires_capability"):
            rig.need(*marker.args)


class Standin:
    """Something else's attributes, some of them replaced.

    Args:
        inner: what is stood in for.
        replaced: attribute to value.
    """

    def __init__(self, inner: object, **replaced: Any) -> None:
        self._inner = inner
        self.__dict__.update(replaced)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def with_submit(provider: Provider, submit: Callable[..., Any]) -> Provider:
    """``provider``, with ``submit`` in the place of its trainer's."""
    return cast("Provider", Standin(provider, trainer=Standin(provider.trainer, submit=submit)))


def with_deploy(provider: Provider, deploy: Callable[..., Any]) -> Provider:
    """``provider``, with ``deploy`` in the place of its deployer's."""
    return cast("Provider", Standin(provider, deployer=Standin(provider.deployer, deploy=deploy)))
