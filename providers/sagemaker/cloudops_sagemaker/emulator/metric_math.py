"""CloudWatch's metric math, as far as alarms and graphs of endpoints use it.

``+ - * / **``, comparisons, ``AND OR NOT && ||``, ``IF``, ``FILL``, ``SUM AVG MIN MAX ABS CEIL FLOOR``. A value exists
at a time where all of its parts do; a division by zero gives none.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

#: Values by the beginning of their period.
Points = Mapping[float, float]
Value = float | Points | list[Any]

_BINARY: Mapping[type[ast.AST], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.Lt: lambda a, b: float(a < b),
    ast.LtE: lambda a, b: float(a <= b),
    ast.Gt: lambda a, b: float(a > b),
    ast.GtE: lambda a, b: float(a >= b),
    ast.Eq: lambda a, b: float(a == b),
    ast.NotEq: lambda a, b: float(a != b),
}
_REDUCE: Mapping[str, Callable[[list[float]], float]] = {
    "SUM": math.fsum,
    "AVG": lambda values: math.fsum(values) / len(values),
    "MIN": min,
    "MAX": max,
}
_ONE: Mapping[str, Callable[[float], float]] = {"ABS": abs, "CEIL": math.ceil, "FLOOR": math.floor}


class MathError(ValueError):
    """The expression is none that is understood here; the message says why."""


def evaluate(expression: str, known: Mapping[str, Points], periods: Iterable[float] = ()) -> Points:
    """The values of ``expression`` over the series in ``known``.

    ``periods`` are times at which a constant or a ``FILL`` has a value, whatever is known there.

    Raises:
        MathError: it is not understood, or names a series that is not there.
    """
    text = re.sub(r"&&|\bAND\b", " and ", expression)
    text = re.sub(r"\|\||\bOR\b", " or ", text)
    text = re.sub(r"!(?!=)|\bNOT\b", " not ", text)
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        raise MathError(f"cannot read the expression {expression!r}") from None
    times = sorted({time for points in known.values() for time in points}.union(periods))
    value = _value(tree, known, times)
    if isinstance(value, list):
        raise MathError(f"{expression!r} gives several series; expected one")
    return dict.fromkeys(times, value) if isinstance(value, (int, float)) else dict(value)


def _value(node: ast.AST, known: Mapping[str, Points], times: list[float]) -> Value:
    match node:
        case ast.Constant(value=int() | float() as number):
            return float(number)
        case ast.Name(id=name):
            if name not in known:
                raise MathError(f"there is no metric with the id {name!r}")
            return known[name]
        case ast.List(elts=parts):
            return [_value(part, known, times) for part in parts]
        case ast.UnaryOp(op=op, operand=operand):
            return _combine(_unary(op), [_value(operand, known, times)])
        case ast.BinOp(left=left, op=op, right=right):
            return _combine(_binary(op), [_value(left, known, times), _value(right, known, times)])
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _combine(_binary(op), [_value(left, known, times), _value(right, known, times)])
        case ast.BoolOp(op=op, values=parts):
            truth = all if isinstance(op, ast.And) else any
            return _combine(lambda *values: float(truth(values)), [_value(part, known, times) for part in parts])
        case ast.Call(func=ast.Name(id=name), args=parts):
            return _function(name.upper(), parts, known, times)
    raise MathError(f"{ast.unparse(node)!r} is not understood by the offline cloud's metric math")


def _function(name: str, parts: list[ast.expr], known: Mapping[str, Points], times: list[float]) -> Value:
    if name == "METRICS":
        return list(known.values())
    values = [_value(part, known, times) for part in parts]
    if name == "IF" and len(values) in (2, 3):
        return _if(values, times)
    if name == "FILL" and len(values) == 2:
        return _fill(values[0], values[1], times)
    if name in _ONE and len(values) == 1:
        return _combine(lambda value: float(_ONE[name](value)), values)
    if name in _REDUCE and len(values) == 1:
        return _reduce(_REDUCE[name], values[0], times)
    raise MathError(f"the function {name} of {len(parts)} arguments is not known to the offline cloud's metric math")


def _if(values: list[Value], times: list[float]) -> Value:
    """At each time only the branch that is taken has to have a value."""
    found: dict[float, float] = {}
    for time in times:
        condition = _at(values[0], time)
        if condition is None:
            continue
        branch = values[1] if condition else (values[2] if len(values) == 3 else None)
        value = None if branch is None else _at(branch, time)
        if value is not None:
            found[time] = value
    return found


def _fill(series: Value, filler: Value, times: list[float]) -> Value:
    def at(time: float) -> float | None:
        own = _at(series, time)
        return own if own is not None else _at(filler, time)

    return {time: value for time in times if (value := at(time)) is not None}


def _reduce(function: Callable[[list[float]], float], value: Value, times: list[float]) -> Value:
    if isinstance(value, list):
        at = {time: [one for part in value if (one := _at(part, time)) is not None] for time in times}
        return {time: function(found) for time, found in at.items() if found}
    if isinstance(value, (int, float)):
        return value
    return function(list(value.values())) if value else {}


def _at(value: Value, time: float) -> float | None:
    if isinstance(value, (int, float)):
        return float(value)
    if isinstance(value, list):
        raise MathError("a list of series stands where one series is expected")
    return value.get(time)


def _unary(op: ast.unaryop) -> Callable[[float], float]:
    if isinstance(op, ast.USub):
        return operator.neg
    return (lambda value: float(not value)) if isinstance(op, ast.Not) else operator.pos


def _binary(op: ast.AST) -> Callable[[float, float], float]:
    if type(op) not in _BINARY:
        raise MathError(f"the operator {type(op).__name__} is not known to the offline cloud's metric math")
    return _BINARY[type(op)]


def _combine(function: Callable[..., float], values: list[Value]) -> Value:
    series = [value for value in values if not isinstance(value, (int, float))]
    if any(isinstance(one, list) for one in series):
        raise MathError("a list of series stands where one series is expected")
    if not series:
        result = _safely(function, [float(value) for value in values])  # type: ignore[arg-type]
        return {} if result is None else result
    times = set.intersection(*(set(one) for one in series))
    found = {time: _safely(function, [_at(value, time) or 0.0 for value in values]) for time in sorted(times)}
    return {time: value for time, value in found.items() if value is not None}


def _safely(function: Callable[..., float], values: list[float]) -> float | None:
    try:
        result = function(*values)
    except (ZeroDivisionError, OverflowError):
        return None
    return float(result) if isinstance(result, (int, float)) and math.isfinite(result) else None
