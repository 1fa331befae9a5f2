"""Metrics as lines of a job's log: ``[cloudops] metric name=auc value=0.7512 step=3``.

A line is the one channel that every platform has. It is written with a single call, so that the lines of several
processes that share a pipe do not mix (POSIX: a write of at most PIPE_BUF, 4096 bytes on Linux, is atomic).
"""

from __future__ import annotations

import operator
import re
import sys
from collections.abc import Mapping
from typing import NamedTuple, Optional, SupportsFloat, SupportsIndex

from .job import rank

_PREFIX = "[cloudops] metric "
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*", re.ASCII)
_LINE = re.compile(
    r"name=([A-Za-z_][A-Za-z0-9_./-]*) value=([-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|inf)|nan)"
    r"(?: step=(-?\d{1,18}))?(?: rank=(\d{1,9}))?\s*",
    re.ASCII,
)
_LONGEST_NAME = 250


class Metric(NamedTuple):
    """One value of a metric; ``step`` is None where the job gave none, ``rank`` is that of the process."""

    name: str
    value: float
    step: Optional[int]
    rank: int


def log_metric(name: str, value: SupportsFloat, step: SupportsIndex | None = None) -> None:
    """Print one metric on standard output and flush it.

    ``value`` is anything that ``float`` takes except text: numbers, NumPy scalars, tensors of one element; NaN and
    infinities are kept. Works outside a job too, where it only prints.

    Raises:
        ValueError: the name is not of letters, digits and ``_ . / -`` (a letter or ``_`` first, at most 250), the
            value is not a number, or the step is not an integer.
    """
    log_metrics({name: value}, step)


def log_metrics(values: Mapping[str, SupportsFloat], step: SupportsIndex | None = None) -> None:
    """Print several metrics of one step, each as :func:`log_metric` does; nothing is printed if one is invalid.

    Raises:
        ValueError: see :func:`log_metric`.
    """
    for line in [_line(name, value, step) for name, value in values.items()]:
        sys.stdout.write(line)
        sys.stdout.flush()


def parse_line(text: str) -> Metric | None:
    """The metric in a line of a log, or None for any other line.

    The line may have something before the metric: with unbuffered output another process's ``print`` writes its
    text and its line end separately, so that a metric can come to stand behind such a text.
    """
    at = text.find(_PREFIX)
    if at < 0:
        return None
    match = _LINE.fullmatch(text, at + len(_PREFIX))
    if match is None:
        return None
    name, value, step, number = match.groups()
    return Metric(name, float(value), None if step is None else int(step), int(number or 0))


def _line(name: str, value: SupportsFloat, step: SupportsIndex | None) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise ValueError(
            f"the metric name {str(name)[:100]!r} is not valid: use letters, digits, '_', '.', '/' and '-', "
            f"a letter or '_' first, at most {_LONGEST_NAME} characters"
        )
    suffix = "" if step is None else f" step={_step(name, step)}"
    number = rank()
    suffix += f" rank={number}" if number else ""
    return f"{_PREFIX}name={name} value={_number(name, value)!r}{suffix}\n"


def _number(name: str, value: SupportsFloat) -> float:
    try:
        if not isinstance(value, (str, bytes, bytearray)):
            return float(value)
    except (TypeError, ValueError, OverflowError, RuntimeError):  # RuntimeError: PyTorch, for more than one element
        pass
    raise ValueError(f"the value of the metric {name!r} must be one number, not {_shown(value)}")


def _step(name: str, step: SupportsIndex) -> int:
    try:
        number = operator.index(step)
    except TypeError:
        raise ValueError(f"the step of the metric {name!r} must be an integer, not {_shown(step)}") from None
    if abs(number) >= 10**18:
        raise ValueError(f"the step of the metric {name!r} must be less than 10^18, not {_shown(step)}")
    return number


def _shown(value: object) -> str:
    text = " ".join(repr(value).split())
    return f"{text[:60]}... ({type(value).__name__})" if len(text) > 60 else f"{text} ({type(value).__name__})"
