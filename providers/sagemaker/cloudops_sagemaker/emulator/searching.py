"""Search expressions: filters over a resource's members and tags, nested and joined by And or Or."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .operations import invalid

_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "GreaterThan": lambda left, right: left > right,
    "GreaterThanOrEqualTo": lambda left, right: left >= right,
    "LessThan": lambda left, right: left < right,
    "LessThanOrEqualTo": lambda left, right: left <= right,
}


def matches(described: Mapping[str, Any], tags: Mapping[str, str], expression: Mapping[str, Any]) -> bool:
    """Whether a resource is what a SearchExpression asks for.

    Raises:
        ServiceError: the expression has an operator that is not known.
    """
    if expression.get("NestedFilters"):
        raise invalid("Not emulated by the offline cloud: NestedFilters of a SearchExpression.")
    results = [_one(described, tags, one) for one in expression.get("Filters", [])]
    results += [matches(described, tags, one) for one in expression.get("SubExpressions", [])]
    if not results:
        return True
    return any(results) if expression.get("Operator") == "Or" else all(results)


def _one(described: Mapping[str, Any], tags: Mapping[str, str], wanted: Mapping[str, Any]) -> bool:
    value = _value(described, tags, wanted["Name"])
    operator, given = str(wanted.get("Operator", "Equals")), str(wanted.get("Value", ""))
    if operator == "Exists":
        return value is not None
    if operator == "NotExists":
        return value is None
    if value is None:
        return operator == "NotEquals"
    if operator in _ORDERED:
        return _compared(operator, value, given)
    text = str(value)
    if operator == "In":
        return text in given.split(",")
    if operator not in ("Equals", "NotEquals", "Contains"):
        raise invalid(f"Operator {operator!r} is not one of a search filter")
    if operator == "Contains":
        return given.lower() in text.lower()
    return bool((text == given) == (operator == "Equals"))


def _compared(operator: str, value: Any, given: str) -> bool:
    from datetime import datetime

    try:
        return _ORDERED[operator](float(value), float(given))
    except ValueError:
        pass
    try:
        return _ORDERED[operator](float(value), datetime.fromisoformat(given).timestamp())
    except ValueError:
        return _ORDERED[operator](str(value), given)


def _value(described: Mapping[str, Any], tags: Mapping[str, str], name: str) -> Any:
    """A member by its path (``ResourceConfig.InstanceType``), or a tag (``Tags.project``)."""
    if name.startswith("Tags."):
        return tags.get(name[5:])
    value: Any = described
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
