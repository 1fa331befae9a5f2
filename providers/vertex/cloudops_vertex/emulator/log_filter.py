"""A filter of log entries: the Logging query language, as far as clients use it; the rest is refused.

Comparisons of texts take no notice of case, but for those by regular expressions.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from . import filters
from .entries import SEVERITIES, Entry, Origin
from .filters import And, Call, Comparison, FilterError, Literal, Node, Not, Or
from .log_fields import MISSING, OF_ORIGIN, Field, field, flat, texts
from .protocol.errors import ServiceError

_Test = Callable[[Entry], bool]
#: Takes a value that is not missing.
_OfValue = Callable[[Any], bool]
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    ":": operator.eq,
}
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d:\d\d)(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)?)?")


class LogFilter:
    """A filter.

    Args:
        text: as the client sent it.

    Raises:
        ServiceError: INVALID_ARGUMENT: it is not of the language, or asks for what is not emulated.
    """

    def __init__(self, text: str) -> None:
        try:
            parts = filters.conjuncts(filters.parse(text))
            self._tests = [_test(part) for part in parts]
            self._of_origin = [test for part, test in zip(parts, self._tests, strict=True) if _is_of_origin(part)]
            #: The times, in nanoseconds, before and after which no entry matches; None: there is none.
            self.low, self.high = _bounds(parts)
        except FilterError as error:
            raise ServiceError("INVALID_ARGUMENT", f"Unparseable filter: {error}") from None

    def matches(self, entry: Entry) -> bool:
        """Whether an entry is wanted."""
        return all(test(entry) for test in self._tests)

    def may_match(self, origin: Origin) -> bool:
        """Whether any entry of an origin could be wanted."""
        entry = Entry(origin, 0, "", 0, None, None, {}, 0)
        return all(test(entry) for test in self._of_origin)


def _is_of_origin(node: Node) -> bool:
    return all(
        (isinstance(leaf, Comparison) and leaf.path[0] in OF_ORIGIN) or isinstance(leaf, Call)
        for leaf in filters.leaves(node)
    )


def _bounds(parts: tuple[Node, ...]) -> tuple[int | None, int | None]:
    low: int | None = None
    high: int | None = None
    for part in parts:
        if isinstance(part, Comparison) and part.path == ("timestamp",) and isinstance(part.value, Literal):
            if part.value.text == "*" and not part.value.quoted:
                continue
            at = _time(part.value)
            if part.operator in (">", ">=", "=", ":"):
                low = at if low is None else max(low, at)
            if part.operator in ("<", "<=", "=", ":"):
                high = at if high is None else min(high, at)
    return low, high


def _test(node: Node) -> _Test:
    """What says whether an entry matches."""
    if isinstance(node, And):
        every = [_test(part) for part in node.parts]
        return lambda entry: all(test(entry) for test in every)
    if isinstance(node, Or):
        some = [_test(part) for part in node.parts]
        return lambda entry: any(test(entry) for test in some)
    if isinstance(node, Not):
        inner = _test(node.part)
        return lambda entry: not inner(entry)
    if isinstance(node, Literal):
        return _search(node)
    if isinstance(node, Call):
        return _call(node)
    found = field(node.path)
    of_value = _of_value(found, node.operator, node.value)

    def test(entry: Entry) -> bool:
        value = found.value(entry)
        return value is not MISSING and of_value(value)

    return test


def _search(node: Literal) -> _Test:
    wanted = node.text.casefold()
    if wanted == "*" and not node.quoted:
        return lambda entry: True
    return lambda entry: wanted in texts(entry).casefold()


def _call(node: Call) -> _Test:
    if node.name != "log_id":
        text = f"the function '{node.name}' at {node.place} is not emulated by the offline cloud; log_id is"
        raise FilterError(text)
    if len(node.arguments) != 1:
        raise FilterError(f"log_id takes one argument; {len(node.arguments)} at {node.place}")
    wanted = node.arguments[0].text
    return lambda entry: entry.origin.log == wanted


def _of_value(found: Field, sign: str, value: Node) -> _OfValue:
    """What says whether a field's value compares so with a value, or with several of them."""
    if isinstance(value, (And, Or)):
        parts = [_of_value(found, sign, part) for part in value.parts]
        join = all if isinstance(value, And) else any
        return lambda given: join(part(given) for part in parts)
    if isinstance(value, Not):
        inner = _of_value(found, sign, value.part)
        return lambda given: not inner(given)
    if not isinstance(value, Literal):
        place = value.place if isinstance(value, (Call, Comparison)) else ""
        raise FilterError(f"a function as a value at {place} is not emulated by the offline cloud")
    if sign == ":" and value.text == "*" and not value.quoted:
        return _exists
    return _KINDS[found.kind](found, sign, value)


def _exists(given: Any) -> bool:
    """``:*``: it is there, and has another value than its default."""
    return bool(given)


def _of_text(found: Field, sign: str, value: Literal) -> _OfValue:
    if sign in ("=~", "!~"):
        return _by_pattern(sign, value)
    wanted = value.text.casefold()
    if sign == ":":
        return lambda given: wanted in str(given).casefold()
    compare = _ORDER[sign]
    return lambda given: compare(str(given).casefold(), wanted)


def _by_pattern(sign: str, value: Literal) -> _OfValue:
    try:
        pattern = re.compile(value.text)
    except re.error as error:
        raise FilterError(f"invalid regular expression '{value.text}' at {value.place}: {error}") from None
    if sign == "=~":
        return lambda given: pattern.search(str(given)) is not None
    return lambda given: pattern.search(str(given)) is None


def _of_number(found: Field, sign: str, value: Literal) -> _OfValue:
    return _ordered(found, sign, value, _number(value))


def _of_bool(found: Field, sign: str, value: Literal) -> _OfValue:
    if value.text.lower() not in ("true", "false") or sign not in ("=", "!=", ":"):
        raise _unfit(found, sign, value)
    return _ordered(found, sign, value, value.text.lower() == "true")


def _of_time(found: Field, sign: str, value: Literal) -> _OfValue:
    return _ordered(found, sign, value, _time(value))


def _of_severity(found: Field, sign: str, value: Literal) -> _OfValue:
    wanted = SEVERITIES.get(value.text.upper())
    if wanted is None and not value.text.isdecimal():
        raise _unfit(found, sign, value)
    return _ordered(found, sign, value, int(value.text) if wanted is None else wanted)


def _of_duration(found: Field, sign: str, value: Literal) -> _OfValue:
    wanted = _number(Literal(value.text.removesuffix("s"), value.quoted, value.place))
    compare = _order(found, sign, value)
    return lambda given: compare(float(str(given).removesuffix("s")), wanted)


def _of_message(found: Field, sign: str, value: Literal) -> _OfValue:
    if sign != ":":
        raise _unfit(found, sign, value)
    wanted = value.text.casefold()
    return lambda given: wanted in flat(given).casefold()


def _of_json(found: Field, sign: str, value: Literal) -> _OfValue:
    """A value of JSON is compared as what it is; of an array, one of the elements has to."""
    text = _of_text(found, sign, value)
    wanted = _number_or_none(value)

    def one(given: Any) -> bool:
        if isinstance(given, list):
            return any(one(each) for each in given)
        if isinstance(given, dict):
            return sign == ":" and (value.text in given or value.text.casefold() in flat(given).casefold())
        if given is None:
            return (value.text == "NULL_VALUE") == (sign != "!=")
        if isinstance(given, bool):
            return text(flat(given))
        if isinstance(given, (int, float)) and sign in _ORDER:
            return wanted is not None and _ORDER[sign](given, wanted)
        return text(given)

    return one


_KINDS: dict[str, Callable[[Field, str, Literal], _OfValue]] = {
    "string": _of_text,
    "number": _of_number,
    "bool": _of_bool,
    "time": _of_time,
    "duration": _of_duration,
    "severity": _of_severity,
    "any": _of_json,
    "message": _of_message,
}


def _ordered(found: Field, sign: str, value: Literal, wanted: Any) -> _OfValue:
    compare = _order(found, sign, value)
    return lambda given: compare(given, wanted)


def _order(found: Field, sign: str, value: Literal) -> Callable[[Any, Any], bool]:
    if sign not in _ORDER:
        raise FilterError(f"regular expressions apply to texts only; '{found.name}' at {value.place} is none")
    return _ORDER[sign]


def _number(value: Literal) -> float:
    found = _number_or_none(value)
    if found is None:
        raise FilterError(f"'{value.text}' at {value.place} is not a number")
    return found


def _number_or_none(value: Literal) -> float | None:
    try:
        return float(value.text)
    except ValueError:
        return None


def _time(value: Literal) -> int:
    """Nanoseconds since the epoch of a time of RFC 3339, or of a date; in UTC where no other zone is said."""
    found = _TIME.fullmatch(value.text)
    try:
        if found is None:
            raise ValueError
        zone = (found[4] or "Z").upper().replace("Z", "+00:00")
        moment = datetime.fromisoformat(f"{found[1]}T{found[2] or '00:00:00'}{zone}").astimezone(UTC)
    except (ValueError, OverflowError):
        raise FilterError(f"'{value.text}' at {value.place} is not a time, such as 2024-05-01T10:00:00Z") from None
    return int(moment.timestamp()) * 10**9 + int((found[3] or ".0")[1:].ljust(9, "0"))


def _unfit(found: Field, sign: str, value: Literal) -> FilterError:
    return FilterError(f"'{found.name} {sign} {value.text}' at {value.place}: the value or the operator does not fit")
