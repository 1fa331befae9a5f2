"""Quantities in the field's notation: ``4+``, ``16+``, ``A100:8``, ``2h``, ``10%``, ``>= 0.70``.

Every parser takes what YAML gives (a string or a number) and raises ``ValueError`` with what was expected.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}
_REQUIREMENT = re.compile(r"(>=|<=|==|>|<)\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of CPUs or gigabytes; with ``at_least``, that many or more (written ``4+``)."""

    value: float
    at_least: bool = False

    def __str__(self) -> str:
        return f"{self.value:g}{'+' if self.at_least else ''}"


@dataclass(frozen=True, slots=True)
class Accelerators:
    """A kind of accelerator and how many of it each node gets (written ``A100:8``)."""

    name: str
    count: int = 1

    def __str__(self) -> str:
        return f"{self.name}:{self.count}"


@dataclass(frozen=True, slots=True)
class Requirement:
    """A bound on a metric (written ``>= 0.70``)."""

    operator: str
    value: float

    def holds(self, measured: float) -> bool:
        """Whether ``measured`` satisfies the bound; NaN never does."""
        return _OPERATORS[self.operator](measured, self.value)

    def __str__(self) -> str:
        return f"{self.operator} {self.value:g}"


def amount(given: object) -> Amount:
    """``4`` or ``"4+"`` as an amount; positive, finite."""
    if isinstance(given, Amount):
        return given
    text = str(given).strip() if _plain(given) else ""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(\+?)", text)
    if match is None or not 0 < float(match[1]) < 1e9:
        raise ValueError("expected a positive number, or one with + for 'at least', such as 4, 0.5 or 4+")
    return Amount(float(match[1]), bool(match[2]))


def accelerators(given: object) -> Accelerators:
    """``"T4"`` or ``"A100:8"`` as a kind and a count."""
    if isinstance(given, Accelerators):
        return given
    match = re.fullmatch(r"([A-Za-z][\w.-]*)(?::(\d{1,4}))?", given.strip()) if isinstance(given, str) else None
    if match is None or match[2] == "0":
        raise ValueError("expected a kind and a count, such as T4:1 or A100:8")
    return Accelerators(match[1], int(match[2] or 1))


def duration(given: object) -> float:
    """``"2h"``, ``"1h30m"`` or ``"200ms"`` in seconds. A bare number is refused: its unit would be a guess."""
    text = given.strip() if isinstance(given, str) else ""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError("expected a duration with its unit, such as 200ms, 90s, 5m, 2h, 1h30m or 1d")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not 0 < seconds < 1e10:
        raise ValueError("expected a positive duration of less than 300 years")
    return seconds


def format_duration(seconds: float) -> str:
    """Seconds in the largest unit that spells them exactly: ``7200`` is ``2h``."""
    for unit in ("w", "d", "h", "m", "s"):
        count = seconds / _UNITS[unit]
        if count >= 1 and count == int(count):
            return f"{int(count)}{unit}"
    if seconds >= 1:
        return f"{seconds!r}s"
    return f"{seconds * 1000:.10g}ms"


def share(given: object) -> float:
    """``"10%"`` as 0.1. A bare number is refused: 1 could be one percent or all."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", given.strip()) if isinstance(given, str) else None
    if match is None or float(match[1]) > 100:
        raise ValueError("expected a percentage from 0% to 100%, such as 10%")
    return float(match[1]) / 100


def format_share(value: float) -> str:
    """0.1 as ``10%``."""
    return f"{value * 100:.10g}%"


def requirement(given: object) -> Requirement:
    """``">= 0.70"`` as a bound."""
    if isinstance(given, Requirement):
        return given
    match = _REQUIREMENT.fullmatch(given.strip()) if isinstance(given, str) else None
    if match is None or not math.isfinite(float(match[2])):
        raise ValueError('expected a comparison with a number, such as ">= 0.70"')
    return Requirement(match[1], float(match[2]))


def _plain(given: object) -> bool:
    return isinstance(given, str | int | float) and not isinstance(given, bool)
