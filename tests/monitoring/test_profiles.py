"""The reference, measured once: what it keeps, and what drift against it says."""

from __future__ import annotations

import json
from datetime import datetime

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudops.monitoring import Profile, compare, profile
from cloudops.monitoring.distances import chi_squared, psi
from cloudops.monitoring.ecdf import Ecdf
from cloudops.monitoring.profiles import MAX_CATEGORIES, bin_edges

pytestmark = pytest.mark.filterwarnings("error")

MESSY = st.lists(
    st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.integers(-3, 3).map(float)), max_size=40
)


def numbers(*values: float | None) -> pl.DataFrame:
    return pl.DataFrame({"x": pl.Series(values, dtype=pl.Float64)})


@settings(deadline=None)  # the first example imports scipy
@given(MESSY, MESSY)
def test_any_two_columns_are_compared_without_an_error(before, after):
    found = compare(numbers(*before), numbers(*after))["x"]
    present = [[value for value in side if value is not None and np.isfinite(value)] for side in (before, after)]
    if all(present):
        assert found.psi is not None
        assert found.psi >= 0
        assert 0 <= found.ks <= 1
        assert 0 <= found.ks_pvalue <= 1
        assert 0 <= found.js <= 1
    else:
        assert found.psi is None
        assert found.note


@settings(deadline=None)  # the first example imports scipy
@given(MESSY)
def test_a_column_has_not_drifted_from_itself(values):
    found = compare(numbers(*values), numbers(*values))["x"]
    assert not found.psi
    assert not found.ks
    assert not found.js


@settings(deadline=None)  # the first example imports scipy
@given(MESSY, MESSY)
def test_a_stored_profile_says_the_same(before, after):
    known = profile(numbers(*before))
    assert compare(Profile.from_json(known.to_json()), numbers(*after)) == compare(known, numbers(*after))


def test_bins_hold_a_tenth_of_the_reference_each():
    values = Ecdf.of(np.random.default_rng(1).normal(size=10_000))
    assert values.split(bin_edges(values, 10)).tolist() == pytest.approx([1000] * 10, abs=1)


@pytest.mark.parametrize("moved", [4.999, 5.001, -1e308, 1e308])
def test_a_constant_that_changes_has_drifted(moved):
    assert compare(numbers(*[5.0] * 100), numbers(*[moved] * 100))["x"].psi > 10


def test_a_frequent_value_has_a_bin_of_its_own():
    before = numbers(*[0.0] * 80, *np.linspace(1, 2, 20))
    after = numbers(*[0.5] * 80, *np.linspace(1, 2, 20))
    assert compare(before, after)["x"].psi > 5


def test_a_value_with_a_tenth_of_the_rows_is_frequent():
    values = np.concatenate([np.zeros(120), np.random.default_rng(6).normal(size=880)])
    edges = bin_edges(Ecdf.of(values), 10)
    assert Ecdf.of(values).split(edges)[np.searchsorted(edges, 0.0, side="right")] == 120


def test_few_distinct_numbers_are_compared_like_categories():
    rng = np.random.default_rng(2)
    before, after = rng.integers(0, 4, 1000), rng.integers(0, 4, 1000) ** 2 % 4
    by_value = [[int((side == value).sum()) for value in range(4)] for side in (before, after)]
    found = compare(pl.DataFrame({"x": before}), pl.DataFrame({"x": after}))["x"]
    assert found.psi == pytest.approx(psi(*by_value))


def test_categories_booleans_and_times():
    day = datetime(2026, 1, 1)
    before = pl.DataFrame({"c": ["a", "a", "b", None], "b": [True, False, True, True], "t": [day] * 4, "n": [[1]] * 4})
    after = pl.DataFrame({"c": ["a", "c", "c", None], "b": [False] * 4, "t": [day] * 4, "n": [[2]] * 4})
    found = compare(before, after)
    assert (found["c"].chi2, found["c"].chi2_pvalue) == chi_squared([2, 1, 0], [1, 0, 2])
    assert (found["b"].chi2, found["b"].chi2_pvalue) == chi_squared([1, 3], [4, 0])
    assert found["c"].ks is None
    assert found["t"].note == "a time; not compared"
    assert found["n"].note == "nested values; not compared"


def test_zeros_and_ones_are_booleans_where_the_reference_has_them():
    before = pl.DataFrame({"b": [True, False, True, True]})
    for after in ([1, 0, 1, 1], ["true", "False", "1", "true"], [1.0, 0.0, 1.0, 1.0]):
        assert compare(before, pl.DataFrame({"b": after}))["b"].psi == 0


def test_single_precision_in_the_reference_equals_double_precision_now():
    tenths = np.random.default_rng(5).integers(0, 10, 500) / 10
    found = compare(pl.DataFrame({"x": tenths.astype(np.float32)}), pl.DataFrame({"x": tenths}))["x"]
    assert (found.psi, found.ks) == (0, 0)


def test_text_that_reads_as_a_number_is_compared_as_one():
    found = compare(numbers(1, 2, 3), pl.DataFrame({"x": ["1", "2", "3"]}))["x"]
    assert found.ks == 0


def test_rare_categories_count_together():
    many = pl.DataFrame({"id": [f"id{number}" for number in range(3 * MAX_CATEGORIES)] + ["often"] * 500})
    known = profile(many).columns["id"]
    assert len(known.sample.categories) == MAX_CATEGORIES
    assert known.rare == 2 * MAX_CATEGORIES + 1
    assert compare(many, many)["id"].psi == pytest.approx(0, abs=1e-9)
    others = pl.DataFrame({"id": [f"new{number}" for number in range(2500)] + ["often"] * 500})
    assert compare(many, others)["id"].js < 0.5


def test_a_large_column_is_stored_small_and_read_back_close():
    rng = np.random.default_rng(4)
    known = profile(pl.DataFrame({"x": rng.normal(size=200_000)}))
    after = pl.DataFrame({"x": rng.normal(loc=0.05, size=5_000)})
    text = known.to_json()
    assert len(text) < 400_000
    exact, stored = compare(known, after)["x"], compare(Profile.from_json(text), after)["x"]
    assert stored.psi == exact.psi
    assert stored.js == exact.js
    assert stored.ks == pytest.approx(exact.ks, abs=1e-4)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "other"}', '{"format": "cloudops-profile/1"}', "3"])
def test_what_is_no_profile_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match="not a cloudops-profile/1 document") as caught:
        Profile.from_json(text)
    assert "\n" not in str(caught.value)


def test_a_profile_is_strict_json(winter):
    document = json.loads(profile(winter).to_json(), parse_constant=pytest.fail)
    assert document["columns"]["temp"]["missing"] == winter["temp"].null_count()


def test_one_bin_is_refused():
    with pytest.raises(ValueError, match="at least two bins"):
        profile(numbers(1), bins=1)


def test_the_drift_of_2013s_weather(winter, june, july):
    summer = compare(winter, pl.concat([june, july]))
    psis = {name: found.psi for name, found in summer.items()}
    assert psis["temp"] == pytest.approx(8, abs=0.5)
    assert psis["dewp"] == pytest.approx(8, abs=0.75)
    assert psis["pressure"] == pytest.approx(1.0, abs=0.1)
    assert psis["distance"] == pytest.approx(0.02, abs=0.005)
