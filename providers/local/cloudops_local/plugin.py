"""Registers the local provider."""

from __future__ import annotations

from cloudops.hookspecs import hookimpl
from cloudops.provider import ProviderInfo


@hookimpl
def cloudops_provider() -> ProviderInfo:
    """The local provider."""
    return ProviderInfo(
        name="local",
        summary="This machine: real processes, no credentials, nothing to pay.",
        create="cloudops_local.provider:create",
        target="cloudops_local.options:LocalTarget",
        overrides="cloudops_local.options:LocalOverrides",
        capabilities="cloudops_local.capabilities:capabilities",
    )
