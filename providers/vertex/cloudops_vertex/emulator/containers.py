"""Vertex AI's containers: each sees the buckets at ``/gcs``, as Cloud Storage FUSE shows them there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from cloudops.offline.machines import containers

GCS = "/gcs"


@dataclass(frozen=True)
class Container(containers.Container):
    """A container's folder.

    Args:
        buckets: the folder with a folder for each bucket.
    """

    place = GCS
    variable = "CLOUDOPS_GCS"

    buckets: Path = field(default_factory=Path)

    @property
    def own(self) -> Path:
        """The buckets."""
        return self.buckets
