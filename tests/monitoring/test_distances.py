"""The statistics against scipy's, and against their definitions where scipy has none."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon

from cloudops.monitoring.distances import chi_squared, jensen_shannon, kolmogorov_smirnov, ks_pvalue, psi
from cloudops.monitoring.ecdf import Ecdf

pytestmark = pytest.mark.filterwarnings("error")

FEW_VALUES = st.integers(0, 4).map(float)
ANY_FLOATS = st.floats(allow_nan=False, allow_infinity=False)
HEAVY_TAILS = st.floats(0.001, 1).map(lambda u: u**-20)
SAMPLES = st.one_of(*(st.lists(values, min_size=1, max_size=60) for values in (FEW_VALUES, ANY_FLOATS, HEAVY_TAILS)))
COUNTS = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=1, max_size=30)


def ecdf(values: object) -> Ecdf:
    return Ecdf.of(np.asarray(values, dtype=float))


def halves(table: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    reference, current = [a for a, _ in table], [b for _, b in table]
    assume(sum(reference) > 0 and sum(current) > 0)
    return reference, current


@settings(deadline=None)  # the first example imports scipy
@given(SAMPLES, SAMPLES)
def test_kolmogorov_smirnov_is_scipys(a, b):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = stats.ks_2samp(a, b, method="exact")
    first, second = ecdf(a), ecdf(b)
    statistic = kolmogorov_smirnov(first, second)
    assert statistic == pytest.approx(expected.statistic, abs=1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert ks_pvalue(statistic, first, second) == pytest.approx(expected.pvalue, abs=1e-9)


@pytest.mark.parametrize("shift", [0.0, 0.01, 0.02, 0.05, 0.5])
@pytest.mark.parametrize(("n", "m"), [(20_000, 12_000), (3_000, 11_000), (10_500, 40)])
def test_kolmogorov_smirnov_of_many_rows_is_scipys(n, m, shift):
    rng = np.random.default_rng(n + m)
    a, b = np.round(rng.normal(size=n), 2), rng.normal(loc=shift, size=m)
    expected = stats.ks_2samp(a, b, method="asymp")
    first, second = ecdf(a), ecdf(b)
    statistic = kolmogorov_smirnov(first, second)
    assert statistic == pytest.approx(expected.statistic, abs=1e-9)
    assert ks_pvalue(statistic, first, second) == pytest.approx(expected.pvalue, abs=1e-9)


@pytest.mark.parametrize("n", [1_100, 5_000, 50_000])
@pytest.mark.parametrize("scaled", [2.3, 4.0, 9.9, 10.6, 60.0, 400.0])
def test_the_tail_of_kolmogorov_smirnov_is_scipys(n, scaled):
    side = ecdf(np.arange(2 * n))  # two samples of 2n values count as n
    statistic = math.sqrt(scaled / n)
    assert ks_pvalue(statistic, side, side) == pytest.approx(stats.kstwo.sf(statistic, n), abs=1e-9)


@settings(deadline=None)  # the first example imports scipy
@given(COUNTS)
def test_jensen_shannon_is_scipys(table):
    reference, current = halves(table)
    assert jensen_shannon(reference, current) == pytest.approx(jensenshannon(reference, current, base=2), abs=1e-9)


@settings(deadline=None)  # the first example imports scipy
@given(COUNTS)
def test_chi_squared_is_scipys(table):
    reference, current = halves([pair for pair in table if sum(pair)])
    statistic, pvalue = chi_squared(*halves(table))
    expected = stats.chi2_contingency([reference, current], correction=False)
    assert statistic == pytest.approx(expected.statistic, rel=1e-9, abs=1e-9)
    assert pvalue == pytest.approx(expected.pvalue, abs=1e-9)


@settings(deadline=None)  # the first example imports scipy
@given(COUNTS)
def test_psi_is_symmetric_and_zero_only_for_equal_shares(table):
    reference, current = halves(table)
    value = psi(reference, current)
    assert value == pytest.approx(psi(current, reference), abs=1e-12)
    assert value >= 0
    assert psi(reference, [7 * count for count in reference]) == pytest.approx(0, abs=1e-12)


def test_psi_by_hand():
    assert psi([50, 50], [80, 20]) == pytest.approx(0.3 * math.log(1.6) - 0.3 * math.log(0.4))
    # An empty bin counts as a share of one in ten thousand.
    assert psi([50, 50], [100, 0]) == pytest.approx(0.5 * math.log(2) + (1e-4 - 0.5) * math.log(1e-4 / 0.5))


@settings(deadline=None)  # the first example imports scipy
@given(st.lists(st.one_of(ANY_FLOATS, FEW_VALUES), min_size=1, max_size=80), st.floats(0, 1))
def test_quantiles_are_numpys(values, share):
    found = ecdf(values).quantiles([share])[0]
    expected = np.quantile(np.array(values), share, method="inverted_cdf")
    # Where share * rows is a whole number but for rounding, either neighbour is a correct answer.
    near = abs(share * len(values) - round(share * len(values))) < 1e-6
    assert found == expected or near


@settings(deadline=None)  # the first example imports scipy
@given(SAMPLES, st.lists(ANY_FLOATS, min_size=1, max_size=12, unique=True).map(sorted))
def test_bins_hold_every_value_once(values, edges):
    counts = ecdf(values).split(np.array(edges))
    expected = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    assert counts.tolist() == expected.tolist()


def test_three_tenths_of_ten_are_three():
    share = 0.1 * 3
    assert share * 10 > 3  # by rounding, which must not ask for the fourth value
    assert ecdf(range(1, 11)).quantiles([share]).tolist() == [3]


def test_no_rows_have_no_quantiles():
    with pytest.raises(ValueError, match="without values"):
        ecdf([]).quantiles([0.5])


def test_a_thinned_distribution_is_close_everywhere_and_exact_where_asked():
    values = np.random.default_rng(3).lognormal(size=50_000)
    whole = ecdf(values)
    edges = whole.quantiles(np.arange(1, 10) / 10)
    thin = whole.thinned(edges, points=500)
    assert thin.values.size <= 520
    assert thin.rows == whole.rows
    assert thin.split(edges).tolist() == whole.split(edges).tolist()
    assert kolmogorov_smirnov(thin, whole) <= 1 / 500
    assert (thin.values[0], thin.values[-1]) == (values.min(), values.max())
