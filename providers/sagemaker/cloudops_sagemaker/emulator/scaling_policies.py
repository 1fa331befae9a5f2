"""How many instances a scaling policy wants: pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

#: Metrics whose value is already one of each instance, or of the whole where there is none.
_AVERAGE = 0.9


def bounded(target: Any, wanted: int) -> int:
    """``wanted`` within the bounds of a scalable target."""
    return min(max(wanted, int(target.min_capacity or 0)), int(target.max_capacity))


def tracked(config: Mapping[str, Any], above: bool, value: float, current: int) -> int:
    """What target tracking wants where the metric is ``value``: so many that it comes to the target."""
    goal = float(config["TargetValue"])
    wanted = math.ceil(max(current, 1) * value / goal - 1e-9)
    if above:
        return max(wanted, current + 1)
    return current if config.get("DisableScaleIn") else min(wanted, current - 1)


def low_threshold(config: Mapping[str, Any]) -> float:
    """Below which the metric has to be before instances are taken away."""
    return float(config["TargetValue"]) * _AVERAGE


def stepped(config: Mapping[str, Any], breach: float, current: int) -> int:
    """What step scaling wants where the metric is ``breach`` above (or below) the alarm's threshold."""
    for step in config.get("StepAdjustments", ()):
        low = float(step.get("MetricIntervalLowerBound", -math.inf))
        high = float(step.get("MetricIntervalUpperBound", math.inf))
        inside = low <= breach < high if breach >= 0 else low < breach <= high
        if inside:
            return _adjusted(config, int(step["ScalingAdjustment"]), current)
    return current


def _adjusted(config: Mapping[str, Any], adjustment: int, current: int) -> int:
    kind = config.get("AdjustmentType", "ChangeInCapacity")
    if kind == "ExactCapacity":
        return adjustment
    if kind == "ChangeInCapacity":
        return current + adjustment
    change = current * adjustment / 100
    least = int(config.get("MinAdjustmentMagnitude", 0))
    size = max(math.floor(abs(change)) or 1, least)
    return current + (size if adjustment > 0 else -size)
