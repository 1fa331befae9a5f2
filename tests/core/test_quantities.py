"""Quantities come back from their notation as they went in, and say what they expect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudops import quantities
from cloudops.quantities import Accelerators, Amount, Requirement

thorough = settings(derandomize=True, database=None, deadline=None, max_examples=500)

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@thorough
@given(st.floats(0.001, 1e9, exclude_max=True), st.booleans())
def test_amounts_come_back(value: float, at_least: bool) -> None:
    amount = Amount(value, at_least)
    assert quantities.amount(str(amount)) == amount
    if not at_least:
        assert quantities.amount(value) == amount


@thorough
@given(st.floats(0.001, 1e10, exclude_max=True))
def test_durations_come_back(seconds: float) -> None:
    assert quantities.duration(quantities.format_duration(seconds)) == seconds


@thorough
@given(st.integers(1, 2**31), st.sampled_from([1, 60, 3600, 86400, 604800]))
def test_whole_durations_come_back_in_a_unit(count: int, size: int) -> None:
    seconds = float(count * size)
    if seconds < 1e10:
        text = quantities.format_duration(seconds)
        assert quantities.duration(text) == seconds
        assert text.rstrip("smhdw").isdecimal()


@thorough
@given(st.floats(0, 1))
def test_shares_come_back(value: float) -> None:
    assert quantities.share(quantities.format_share(value)) == value


@thorough
@given(st.sampled_from(["<", "<=", "==", ">=", ">"]), FINITE)
def test_requirements_come_back(operator: str, value: float) -> None:
    requirement = Requirement(operator, value)
    assert quantities.requirement(str(requirement)) == requirement


@thorough
@given(st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,50}", fullmatch=True), st.integers(1, 9999))
def test_accelerators_come_back(name: str, count: int) -> None:
    accelerators = Accelerators(name, count)
    assert quantities.accelerators(str(accelerators)) == accelerators


PARSERS = [quantities.amount, quantities.accelerators, quantities.duration, quantities.share, quantities.requirement]
ANYTHING = st.one_of(
    st.text(max_size=20),
    st.from_regex(r"[<>=]*\s*[-+]?[0-9.]+[A-Za-z%+:]*[0-9.]*[a-z]*", fullmatch=True),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.lists(st.integers()),
)


@pytest.mark.parametrize("parse", PARSERS)
@thorough
@given(given=ANYTHING)
def test_anything_is_taken_or_refused_with_what_was_expected(parse: Callable[[object], Any], given: object) -> None:
    try:
        parsed = parse(given)
    except ValueError as error:
        message = str(error)
    else:
        assert parsed is not None
        return
    assert message.startswith("expected ")
    assert "such as" in message or "at least" in message


SECONDS = {"1ms": 0.001, "200ms": 0.2, "90s": 90, "5m": 300, "2h": 7200, "1h30m": 5400, "1.5h": 5400, "1d": 86400}
SHOWN = {0.2: "200ms", 90: "90s", 300: "5m", 7200: "2h", 5400: "90m", 86400: "1d", 1.5: "1500ms", 1209600: "2w"}


@pytest.mark.parametrize(("text", "seconds"), [*SECONDS.items(), ("1w2d", 777600), (" 2h ", 7200)])
def test_durations(text: str, seconds: float) -> None:
    assert quantities.duration(text) == seconds


@pytest.mark.parametrize(("seconds", "text"), SHOWN.items())
def test_durations_are_shown_in_the_largest_unit_that_is_exact(seconds: float, text: str) -> None:
    assert quantities.format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [("0%", 0), ("5%", 0.05), ("10 %", 0.1), ("7%", 0.07), ("33.3%", 0.333), ("100%", 1), ("100.0%", 1)],
)
def test_shares(text: str, value: float) -> None:
    assert quantities.share(text) == value


def test_digits_of_other_scripts_are_no_numbers() -> None:
    for parse, text in [(quantities.amount, "٤"), (quantities.duration, "٤h"), (quantities.share, "٤%")]:
        with pytest.raises(ValueError):
            parse(text)


@pytest.mark.parametrize(
    ("text", "below", "at", "above"),
    [
        (">= 0.7", False, True, True),
        ("> 0.7", False, False, True),
        ("<= 0.7", True, True, False),
        ("< 0.7", True, False, False),
        ("== 0.7", False, True, False),
    ],
)
def test_requirements_hold_at_and_around_their_bound(text: str, below: bool, at: bool, above: bool) -> None:
    requirement = quantities.requirement(text)
    assert [requirement.holds(value) for value in (0.6, 0.7, 0.8)] == [below, at, above]
    assert not requirement.holds(float("nan"))
