"""Quantities in the field's notation: ``4+``, ``16+``, ``A100:8``, ``2h``, ``10%``, ``>= 0.70``.

Every parser takes what YAML gives (a string or a number) and raises ``ValueError`` with what was expected.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from decimal import Decimal

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_AMOUNT = re.compile(rf"({_NUMBER})(\+?)")
_ACCELERATORS = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)(?::([0-9]{1,4}))?")
_DURATION = re.compile(rf"({_NUMBER})(ms|s|m|h|d|w)")
_SHARE = re.compile(rf"({_NUMBER})\s*%")
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    ">": operator.gt,
    "<": operator.lt,
    "==": operator.eq,
}
_REQUIREMENT = re.compile(r"(>=|<=|==|>|<)\s*([-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?)")


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of CPUs or gigabytes; with ``at_least``, that many or more (written ``4+``)."""

    value: float
    at_least: bool = False

    def __str__(self) -> str:
        return f"{_shortest(self.value)}{'+' if self.at_least else ''}"


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
        return f"{self.operator} {_shortest(self.value)}"


def amount(given: object) -> Amount:
    """``4`` or ``"4+"`` as an amount, from a thousandth to a billion."""
    if isinstance(given, Amount):
        return given
    match = _AMOUNT.fullmatch(str(given).strip() if _plain(given) else "")
    if match is None or not 0.001 <= float(match[1]) < 1e9:
        raise ValueError("expected a positive number without a unit, or one with + for 'at least', such as 4 or 4+")
    return Amount(float(match[1]), bool(match[2]))


def accelerators(given: object) -> Accelerators:
    """``"T4"`` or ``"A100:8"`` as a kind and a count."""
    if isinstance(given, Accelerators):
        return given
    match = _ACCELERATORS.fullmatch(given.strip()) if isinstance(given, str) else None
    count = int(match[2] or 1) if match else 0
    if match is None or count < 1 or len(match[1]) > 60:
        raise ValueError("expected a kind and a count, such as T4:1 or A100:8")
    return Accelerators(match[1], count)


def duration(given: object) -> float:
    """``"2h"``, ``"1h30m"`` or ``"200ms"`` in seconds. A bare number is refused: its unit would be a guess."""
    text = given.strip() if isinstance(given, str) else ""
    parts = _DURATION.findall(text)
    units = [unit for _, unit in parts]
    if not parts or "".join(number + unit for number, unit in parts) != text or len(set(units)) < len(units):
        raise ValueError("expected a duration with its unit, such as 200ms, 90s, 5m, 2h, 1h30m or 1d")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    if not 0.001 <= seconds < 1e10:
        raise ValueError("expected a duration of at least 1ms and less than 300 years")
    return seconds


def format_duration(seconds: float) -> str:
    """Seconds in the largest unit that spells them exactly: ``7200`` is ``2h``."""
    for unit, size in reversed(_UNITS.items()):
        count = round(seconds / size)
        if count >= 1 and count * size == seconds:
            return f"{count}{unit}"
    return f"{_shortest(seconds)}s"


def share(given: object) -> float:
    """``"10%"`` as 0.1. A bare number is refused: 1 could be one percent or all."""
    match = _SHARE.fullmatch(given.strip()) if isinstance(given, str) else None
    if match is None or float(match[1]) > 100:
        raise ValueError("expected a percentage from 0% to 100%, such as 10%")
    return float(_decimal(match[1]) / 100)


def format_share(value: float) -> str:
    """0.1 as ``10%``."""
    text = f"{_decimal(repr(value)) * 100:f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text}%"


def requirement(given: object) -> Requirement:
    """``">= 0.70"`` as a bound."""
    if isinstance(given, Requirement):
        return given
    match = _REQUIREMENT.fullmatch(given.strip()) if isinstance(given, str) else None
    if match is None or not math.isfinite(float(match[2])):
        raise ValueError('expected a comparison with a number, such as ">= 0.70"')
    return Requirement(match[1], float(match[2]))


def _shortest(value: float) -> str:
    """The shortest text that reads back as ``value``."""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def _decimal(text: str) -> Decimal:
    from decimal import Decimal

    return Decimal(text)


def _plain(given: object) -> bool:
    return isinstance(given, str | int | float) and not isinstance(given, bool)
