"""Captured rows of any cleanliness become a table."""

from __future__ import annotations

import json
import math

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudops.monitoring import Checks, Period, assess, from_rows, profile

pytestmark = pytest.mark.filterwarnings("error")

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(codec=None), max_size=5), st.binary()
)
CELLS = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3))
KEYS = st.sampled_from(["x", "y", "é", "", "\ud800"])
ROWS = st.lists(st.one_of(CELLS, st.dictionaries(KEYS, CELLS, max_size=4), st.lists(CELLS, max_size=4)), max_size=12)

REFERENCE = pl.DataFrame({"x": [1.5, 2.5, 3.5], "y": ["a", "b", "b"], "column_0": [True, False, True]})


@settings(deadline=None)  # the first example imports polars
@given(ROWS)
def test_no_row_is_an_error(rows):
    found = from_rows(rows, ["x", "y"])
    assert found.rows == len(rows)
    assert found.frame.height in (0, len(rows))


@settings(deadline=None)  # the first example imports polars
@given(ROWS)
def test_no_row_breaks_a_report(rows):
    known = profile(REFERENCE)
    captured = from_rows(rows, ["x", "y"], reference=known)
    report = assess("any", [Period("now", captured)], reference=known, checks=Checks(new_categories=0.1, range=0.1))
    assert report.periods[0].rows == len(rows)
    for column in report.periods[0].columns:
        assert 0 <= column.missing <= 1
        assert 0 <= column.types <= 1
        assert column.values >= 0
    json.loads(report.to_json())


def test_the_most_frequent_type_is_the_columns():
    rows = [{"n": 1}, {"n": 2.5}, {"n": "three"}, {"n": None}, {}, {"n": math.nan}, {"n": [4]}]
    found = from_rows(rows)
    assert found.frame["n"].to_list() == [1.0, 2.5, None, None, None, None, None]
    assert found.violations == {"n": 2}


def test_clean_numbers_keep_their_type():
    assert from_rows([{"n": 1}, {"n": None}, {"n": 3}]).frame["n"].dtype == pl.Int64
    assert from_rows([{"n": 1}, {"n": 2.5}]).frame["n"].to_list() == [1.0, 2.5]


def test_the_reference_says_which_type_is_right():
    rows = [{"x": "1.5", "y": 3}, {"x": "2.5", "y": "a"}, {"x": 3, "y": "b"}]
    found = from_rows(rows, reference=profile(REFERENCE))
    assert found.violations == {"x": 2, "y": 1}
    assert found.frame["x"].to_list() == [None, None, 3.0]


def test_lists_and_single_values():
    assert from_rows([[1, "a"], [2, "b"]], ["n", "s"]).frame.to_dicts() == [{"n": 1, "s": "a"}, {"n": 2, "s": "b"}]
    assert from_rows([[1, 2], [3]]).frame.to_dicts() == [
        {"column_0": 1, "column_1": 2},
        {"column_0": 3, "column_1": None},
    ]
    assert from_rows([4, 5], ["n"]).frame["n"].to_list() == [4, 5]
    assert from_rows([[1, 2]], ["n"]).frame.columns == ["n", "column_1"]


def test_numbers_too_large_for_a_float_are_of_the_wrong_type():
    found = from_rows([{"n": 10**400}, {"n": 2**70}, {"n": 3}])
    assert found.violations == {"n": 1}
    assert found.frame["n"].to_list() == [None, float(2**70), 3.0]


def test_rows_without_values_are_still_rows():
    found = from_rows([{}, {}])
    assert (found.rows, found.frame.is_empty()) == (2, True)
    assert assess("empty", [Period("now", found)]).periods[0].rows == 2


def test_text_that_is_no_unicode_is_kept_as_far_as_it_goes():
    (value,) = from_rows([json.loads('{"s": "a\\ud800b"}')]).frame["s"].to_list()
    assert value == "a?b"


def test_nested_values_are_kept_as_text():
    found = from_rows([{"o": {"a": [1, None]}}])
    assert json.loads(found.frame["o"][0]) == {"a": [1, None]}
    assert not found.violations


@pytest.mark.parametrize("rows", [[], [None], [[]]])
def test_next_to_nothing(rows):
    assert from_rows(rows).rows == len(rows)
