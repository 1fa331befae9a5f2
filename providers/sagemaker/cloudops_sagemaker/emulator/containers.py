"""SageMaker's containers: each has an ``/opt/ml`` of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cloudops.offline.machines import containers

ML = "/opt/ml"


@dataclass(frozen=True)
class Container(containers.Container):
    """A container's folder."""

    place = ML
    variable = "SM_OPT_ML"

    @property
    def own(self) -> Path:
        """See :attr:`ml`."""
        return self.ml

    @property
    def ml(self) -> Path:
        """Its ``/opt/ml``, as this process sees it."""
        return self.root / "opt" / "ml"

    def make(self, folders: Sequence[str]) -> None:
        """Make it, with these folders below ``/opt/ml``."""
        for name in folders:
            (self.ml / name).mkdir(parents=True, exist_ok=True)
        self.create()
