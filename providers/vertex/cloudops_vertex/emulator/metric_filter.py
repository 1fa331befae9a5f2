"""A filter of Cloud Monitoring: which metric, and which of its series."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable

from . import filters
from .filters import And, Call, Comparison, FilterError, Literal, Node, Not, Or
from .protocol.errors import ServiceError
from .series import Key

_Test = Callable[[Key], bool]
_OfText = Callable[[str], bool]
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


class MetricFilter:
    """A filter.

    Args:
        text: as the client sent it.

    Raises:
        ServiceError: INVALID_ARGUMENT: it is not of the language, or asks for what is not emulated.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._parts = filters.conjuncts(filters.parse(text))
            self._tests = [_test(part) for part in self._parts]
        except FilterError as error:
            escaped = text.replace("\\", "\\\\").replace('"', '\\"')
            raise self.wrong(f'Could not parse filter "{escaped}"; {error}') from None

    def matches(self, key: Key) -> bool:
        """Whether a series is wanted."""
        return all(test(key) for test in self._tests)

    def is_of_type(self, metric_type: str) -> bool:
        """Whether a metric is wanted, as far as its name tells."""
        tests = [test for part, test in zip(self._parts, self._tests, strict=True) if _is_of(part, "metric", "type")]
        return all(test(Key("", metric_type, (), "", ())) for test in tests)

    def metric_type(self) -> str:
        """The one metric that the filter is about.

        Raises:
            ServiceError: INVALID_ARGUMENT: it names none, or several.
        """
        found = set(self._equal("metric", "type"))
        if len(found) != 1:
            raise self.wrong('The filter must specify a single metric type, such as metric.type = "...".')
        return found.pop()

    def resource_types(self) -> set[str]:
        """The types of resources that the series have to be of; empty where the filter names none."""
        return set(self._equal("resource", "type"))

    def wrong(self, text: str) -> ServiceError:
        """The error of the filter."""
        return ServiceError("INVALID_ARGUMENT", f'Field filter had an invalid value of "{self.text}": {text}')

    def _equal(self, *path: str) -> list[str]:
        return [
            part.value.text
            for part in self._parts
            if isinstance(part, Comparison)
            and part.path == path
            and part.operator == "="
            and isinstance(part.value, Literal)
        ]


def _is_of(node: Node, *path: str) -> bool:
    return all(isinstance(leaf, Comparison) and leaf.path == path for leaf in filters.leaves(node))


def _test(node: Node) -> _Test:
    if isinstance(node, And):
        every = [_test(part) for part in node.parts]
        return lambda key: all(test(key) for test in every)
    if isinstance(node, Or):
        some = [_test(part) for part in node.parts]
        return lambda key: any(test(key) for test in some)
    if isinstance(node, Not):
        inner = _test(node.part)
        return lambda key: not inner(key)
    if not isinstance(node, Comparison):
        raise FilterError(f"'{_shown(node)}' at {node.place} is not a comparison that the offline cloud emulates")
    field, of_text = _field(node.path, node), _of_text(node.operator, node.value)

    def test(key: Key) -> bool:
        value = field(key)
        return value is not None and of_text(value)

    return test


def _shown(node: Literal | Call) -> str:
    return node.text if isinstance(node, Literal) else f"{node.name}(...)"


def _field(path: tuple[str, ...], node: Comparison) -> Callable[[Key], str | None]:
    """What tells the value of a series, None where it has none."""
    if path == ("metric", "type"):
        return lambda key: key.metric_type
    if path == ("resource", "type"):
        return lambda key: key.resource_type
    if path == ("project",):
        return lambda key: key.project
    if len(path) == 3 and path[1] in ("labels", "label") and path[0] in ("metric", "resource"):
        name, of_metric = path[2], path[0] == "metric"
        return lambda key: next(
            (value for one, value in (key.metric_labels if of_metric else key.resource_labels) if one == name), None
        )
    raise FilterError(f"unknown field '{'.'.join(path)}' at {node.place}")


def label(path: str) -> Callable[[Key], str | None]:
    """What tells the value of a field to group by, such as ``resource.label.endpoint_id``. Raises ServiceError."""
    try:
        node = filters.parse(f"{path} = x")
        assert isinstance(node, Comparison)
        return _field(node.path, node)
    except (FilterError, AssertionError):
        text = f'Field aggregation.groupByFields had an invalid value of "{path}": it is no field of a time series.'
        raise ServiceError("INVALID_ARGUMENT", text) from None


def _of_text(sign: str, value: Node) -> _OfText:
    if isinstance(value, (And, Or)):
        parts = [_of_text(sign, part) for part in value.parts]
        join = all if isinstance(value, And) else any
        return lambda given: join(part(given) for part in parts)
    if isinstance(value, Not):
        inner = _of_text(sign, value.part)
        return lambda given: not inner(given)
    if isinstance(value, Call):
        if sign not in ("=", "!="):
            raise FilterError(f"'{value.name}' at {value.place} goes with = and != only")
        called = _called(value)
        return called if sign == "=" else lambda given: not called(given)
    assert isinstance(value, Literal)
    return _of_literal(sign, value)


def _of_literal(sign: str, value: Literal) -> _OfText:
    text = value.text
    if sign == ":":
        return bool if text == "*" and not value.quoted else lambda given: text in given
    if sign in ("=", "!="):
        return lambda given: (given == text) == (sign == "=")
    try:
        compare, wanted = _ORDER[sign], float(text)
    except (KeyError, ValueError):
        raise FilterError(f"'{sign}' does not go with '{text}' at {value.place}") from None

    def test(given: str) -> bool:
        try:
            return compare(float(given), wanted)
        except ValueError:
            return False

    return test


def _called(call: Call) -> _OfText:
    texts = [one.text for one in call.arguments]
    if call.name == "one_of":
        return lambda given: given in texts
    if len(texts) != 1:
        raise FilterError(f"'{call.name}' at {call.place} takes one argument")
    text = texts[0]
    if call.name == "starts_with":
        return lambda given: given.startswith(text)
    if call.name == "ends_with":
        return lambda given: given.endswith(text)
    if call.name == "has_substring":
        return lambda given: text in given
    if call.name == "monitoring.regex.full_match":
        try:
            pattern = re.compile(text)
        except re.error as error:
            raise FilterError(f"invalid regular expression '{text}' at {call.place}: {error}") from None
        return lambda given: pattern.fullmatch(given) is not None
    raise FilterError(f"unknown function '{call.name}' at {call.place}")
