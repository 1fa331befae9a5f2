"""What the supervisor tells the router: which replicas there are, and what share of the traffic each version gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .rollout import Plan
from .service_pool import Pool


def routes(plan: Plan, pools: Mapping[str, Pool]) -> dict[str, Any]:
    """``{version: {weight, timeout, hold, replicas: [[key, port], ...]}}`` for every version that runs."""
    return {name: _version(plan.weights.get(name, 0.0), pools[name]) for name in sorted(plan.running) if name in pools}


def _version(weight: float, pool: Pool) -> dict[str, Any]:
    return {
        "weight": weight,
        "timeout": pool.spec.request_timeout,
        "hold": pool.policy.hold if pool.recovering() else 0.0,
        "replicas": [[replica.key, replica.port] for replica in pool.routed()],
    }
