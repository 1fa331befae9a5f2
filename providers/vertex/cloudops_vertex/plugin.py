"""Registers the Vertex AI provider."""

from __future__ import annotations

from cloudops.hookspecs import hookimpl
from cloudops.provider import ProviderInfo


@hookimpl
def cloudops_provider() -> ProviderInfo:
    """The Vertex AI provider."""
    return ProviderInfo(
        name="vertex",
        summary="Google Vertex AI: custom training jobs and endpoints.",
        create="cloudops_vertex.provider:create",
        target="cloudops_vertex.options:VertexTarget",
        overrides="cloudops_vertex.options:VertexOverrides",
        capabilities="cloudops_vertex.capabilities:capabilities",
        sdk=("google.cloud.aiplatform_v1",),
        extra="vertex",
        emulator="cloudops_vertex.emulator:VertexEmulator",
    )
