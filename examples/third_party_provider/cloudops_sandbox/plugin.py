"""Registers the provider. Imported by every command that lists providers, so it imports nothing slow."""

from __future__ import annotations

from cloudops.hookspecs import hookimpl
from cloudops.provider import ProviderInfo


@hookimpl
def cloudops_provider() -> ProviderInfo:
    """The sandbox provider."""
    return ProviderInfo(
        name="sandbox",
        summary="Plain processes in one folder; the example of how to write a provider.",
        create="cloudops_sandbox.provider:create",
        target="cloudops_sandbox.options:SandboxTarget",
        overrides="cloudops_sandbox.options:SandboxOverrides",
        capabilities="cloudops_sandbox.options:capabilities",
    )
