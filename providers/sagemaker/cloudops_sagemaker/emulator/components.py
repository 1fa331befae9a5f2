"""Inference components: copies of a model on an endpoint whose variants have none; they can go down to zero copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .fleets import Fleet
    from .region import Record

KIND = "inference-component"


class Component:
    """What drives the inference component of ``record``: ``fleet`` is its copies, ``count`` how many are desired."""

    def __init__(
        self, record: Record, variant: str, fleet: Fleet, count: int, specification: Mapping[str, Any]
    ) -> None:
        self.record, self.name = record, record.name
        self.variant, self.fleet, self.count, self.specification = variant, fleet, count, dict(specification)

    def describe(self) -> dict[str, Any]:
        """What DescribeInferenceComponent answers."""
        runtime = {"DesiredCopyCount": self.count, "CurrentCopyCount": self.fleet.ready()}
        return {**self.record.described, "RuntimeConfig": runtime}

    def end(self) -> None:
        """End all copies at once."""
        self.fleet.close(drain=False)
