"""The gate between evaluation and deployment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .errors import GateFailed

if TYPE_CHECKING:
    from .specs import EvaluateSpec


def gate(spec: EvaluateSpec, metrics: Mapping[str, float]) -> None:
    """Hold measured metrics against the requirements of ``spec``.

    Raises:
        GateFailed: a metric was not logged, or misses its bound.
    """
    for name, requirement in spec.require.items():
        if name not in metrics:
            logged = ", ".join(sorted(metrics)) or "none"
            raise GateFailed(
                f"the evaluation logged no such metric (logged: {logged})",
                hint=f"log it with cloudops.runtime.log_metric({name!r}, value)",
            ).at("evaluate", "require", name)
        if not requirement.holds(metrics[name]):
            raise GateFailed(
                f"measured {metrics[name]:.6g}, required {requirement}; nothing was deployed",
                hint="improve the model, or change the requirement",
            ).at("evaluate", "require", name)
