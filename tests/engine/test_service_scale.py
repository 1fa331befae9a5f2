from __future__ import annotations

from cloudops.engine.service_scale import Scaler
from cloudops.engine.service_types import Policy

POLICY = Policy(target_concurrency=4.0, scale_up_after=2.0, scale_down_after=60.0)


def _feed(scaler: Scaler, start: float, seconds: float, load: int) -> list[int]:
    return [scaler.observe(start + tick * 0.25, load) for tick in range(int(seconds * 4))]


def test_grows_to_what_the_load_needs_once_it_lasts() -> None:
    scaler = Scaler(1, 5, POLICY, 1)
    assert set(_feed(scaler, 0, 10, 3)) == {1}
    counts = _feed(scaler, 10, 4, 11)
    assert counts[0] == 1, "the average counts, not the moment"
    assert counts[-1] == 3
    assert max(counts) == 3, "no more than needed, while new replicas are still starting"


def test_short_peak_changes_nothing() -> None:
    scaler = Scaler(1, 5, POLICY, 1)
    _feed(scaler, 0, 10, 2)
    assert scaler.observe(10.1, 12) == 1
    assert set(_feed(scaler, 10.25, 10, 2)) == {1}


def test_decides_nothing_on_too_little_history() -> None:
    scaler = Scaler(1, 5, POLICY, 3)
    assert set(_feed(scaler, 0, 1.75, 100)) == {3}
    assert set(_feed(Scaler(1, 5, POLICY, 3), 0, 59, 0)) == {3}


def test_shrinks_to_the_largest_need_of_a_minute() -> None:
    scaler = Scaler(1, 5, POLICY, 4)
    _feed(scaler, 0, 30, 7)
    counts = _feed(scaler, 30, 90, 0)
    assert counts[4 * 29] == 4
    assert counts[4 * 35] == 2
    assert counts[-1] == 1


def test_stays_within_its_limits() -> None:
    scaler = Scaler(2, 3, POLICY, 9)
    assert scaler.current == 3
    assert max(_feed(scaler, 0, 10, 1000)) == 3
    assert min(_feed(scaler, 10, 200, 0)) == 2
    assert Scaler(2, 2, POLICY, 0).observe(0.0, 99) == 2
