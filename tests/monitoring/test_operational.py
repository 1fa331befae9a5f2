from __future__ import annotations

import math

import numpy as np
import pytest

from cloudops.monitoring import histogram_percentile

BOUNDS = [0.005, 0.01, 0.1, 1.0, math.inf]


def test_a_percentile_lies_in_its_bucket():
    assert histogram_percentile(BOUNDS, [50, 30, 15, 5, 0], 0.5) == pytest.approx(0.005)
    assert histogram_percentile(BOUNDS, [50, 30, 15, 5, 0], 0.65) == pytest.approx(0.0075)
    assert histogram_percentile(BOUNDS, [50, 30, 15, 5, 0], 0.99) == pytest.approx(0.82)
    assert histogram_percentile(BOUNDS, [50, 30, 15, 5, 0], 1.0) == pytest.approx(1.0)
    assert histogram_percentile(BOUNDS, [0, 0, 8, 0, 0], 0.0) == pytest.approx(0.01)


def test_the_last_bucket_has_no_upper_bound():
    assert histogram_percentile(BOUNDS, [1, 0, 0, 0, 9], 0.99) == 1.0


def test_it_is_close_to_the_true_percentile():
    values = np.random.default_rng(0).gamma(2, 0.02, 10_000)
    bounds = np.linspace(0.005, 0.5, 100)
    counts = np.histogram(values, [0, *bounds])[0]
    for share in (0.5, 0.9, 0.99):
        found = histogram_percentile(bounds.tolist(), counts.tolist(), share)
        assert found == pytest.approx(np.quantile(values, share), abs=0.005)


def test_no_requests_have_no_percentile():
    assert histogram_percentile(BOUNDS, [0] * 5, 0.99) is None
    assert histogram_percentile([], [], 0.99) is None


@pytest.mark.parametrize(("bounds", "counts", "share"), [([1.0], [1, 2], 0.5), ([1.0], [1], 1.5)])
def test_what_fits_no_percentile_is_refused(bounds, counts, share):
    with pytest.raises(ValueError, match="one count per bound"):
        histogram_percentile(bounds, counts, share)
