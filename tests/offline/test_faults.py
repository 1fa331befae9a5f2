"""What goes wrong on demand: the connection's faults, the answers, and that a seed makes the same ones go wrong."""

from __future__ import annotations

import threading
import time

import pytest
import requests

from cloudops.errors import ConfigError
from cloudops.offline import OfflineCloud
from cloudops.offline.faults import ANSWERS, CONNECTION, FaultKind

URL = "https://api.fake.test/things"


def put(name: str) -> requests.Response:
    return requests.put(f"{URL}/{name}", timeout=30)


def names(cloud: OfflineCloud) -> list[str]:
    return [thing.name for thing in cloud.resources("fake")]


def test_a_connection_dropped_before_has_changed_nothing(cloud: OfflineCloud) -> None:
    cloud.fault("dropped_before", on="fake:PutThings")
    with pytest.raises(requests.ConnectionError):
        put("one")
    assert (names(cloud), cloud.calls("fake")) == ([], [])
    assert put("one").ok
    assert names(cloud) == ["one"]


def test_a_connection_dropped_after_has_changed_it(cloud: OfflineCloud) -> None:
    cloud.fault(FaultKind.DROPPED_AFTER, resource="o*")
    assert put("two").ok
    with pytest.raises(requests.ConnectionError):
        put("one")
    assert names(cloud) == ["two", "one"]


def test_a_connection_is_dropped_on_plain_http_too(cloud: OfflineCloud) -> None:
    cloud.fault("dropped_before")
    with pytest.raises(requests.ConnectionError):
        requests.get("http://api.fake.test/echo", timeout=30)


def test_a_timeout_lasts_as_long_as_the_offline_clock_says(cloud: OfflineCloud) -> None:
    cloud.fault("timeout", seconds=3600)
    with pytest.raises(requests.ReadTimeout):
        requests.get(URL, timeout=0.3)
    cloud.fault("timeout", seconds=3600)
    outcome: list[object] = []

    def ask() -> None:
        try:
            outcome.append(requests.get(URL, timeout=60))
        except requests.ConnectionError as error:
            outcome.append(error)

    thread = threading.Thread(target=ask)
    begun = time.monotonic()
    thread.start()
    while cloud.faults():
        time.sleep(0.02)
    cloud.advance(3599)
    thread.join(0.2)
    assert thread.is_alive()
    cloud.advance(2)
    thread.join(20)
    assert time.monotonic() - begun < 20
    assert isinstance(outcome[0], requests.ConnectionError)
    assert cloud.calls("fake") == []


@pytest.mark.parametrize("kind", sorted(ANSWERS))
def test_an_answer_is_the_services_own_error(cloud: OfflineCloud, kind: FaultKind) -> None:
    cloud.fault(kind, on="FAKE:put*", times=2, skip=1)
    codes = [put("one").json().get("code") for _ in range(4)]
    assert codes == [None, f"Fake{kind.title()}", f"Fake{kind.title()}", None]


def test_what_is_left_of_a_fault_is_told_and_can_be_taken_back(cloud: OfflineCloud) -> None:
    first = cloud.fault("throttling", times=3, on="fake:Put*")
    second = cloud.fault("server_error", times=None)
    put("one")
    assert [(rule.id, rule.times) for rule in cloud.faults()] == [(first, 2), (second, None)]
    assert cloud.remove_fault(first)
    assert not cloud.remove_fault(first)
    assert put("one").json() == {"code": "FakeServer_Error"}
    cloud.clear_faults()
    assert put("one").ok


def test_the_same_seed_makes_the_same_calls_fail(cloud: OfflineCloud) -> None:
    def failed(seed: int | None) -> list[bool]:
        cloud.clear_faults(seed)
        cloud.fault("throttling", times=None, probability=0.5)
        return [put("one").status_code == 400 for _ in range(24)]

    first = failed(None)
    assert set(first) == {True, False}
    assert failed(None) == first
    assert failed(7) != first
    assert failed(0) == first


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "thorttling"}, "there is no fault 'thorttling'; there are: timeout, dropped_before"),
        ({"kind": "quota", "times": 0}, "times 0; expected 1, 2"),
        ({"kind": "quota", "times": 1.5}, "times 1.5; expected 1, 2"),
        ({"kind": "quota", "skip": True}, "skip True; expected 0, 1"),
        ({"kind": "quota", "probability": 2}, "probability 2; expected 0 to 1"),
        ({"kind": "quota", "on": ""}, "on ''; expected a pattern"),
        ({"kind": "quota", "on": 5}, "on 5; expected a pattern"),
        ({"kind": "quota", "seconds": 5}, "quota has no length; seconds are of: no_capacity, slow_start, timeout"),
        ({"kind": "timeout", "seconds": float("nan")}, "seconds nan; expected 0 to"),
        ({"kind": "timeout", "seconds": float("inf")}, "seconds inf; expected 0 to"),
        (
            {"kind": "quota", "on": "fake:PutTings"},
            "'fake:PutTings'; did you mean fake:PutThings",
        ),
        ({"kind": "unhealthy", "on": "fake:PutThings"}, "unhealthy never happens to .* no offline cloud has such"),
        ({"kind": "quota", "on": "other:*"}, "did you mean|no offline cloud has such a service"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused(cloud: OfflineCloud, given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        cloud.fault(**given)  # type: ignore[arg-type]
    assert cloud.faults() == []


def test_the_clock_is_moved_by_no_more_than_a_calendar_has(cloud: OfflineCloud) -> None:
    for seconds in (float("inf"), float("nan"), -1):
        with pytest.raises(ConfigError, match="POST advance: cannot advance by"):
            cloud.advance(seconds)


def test_every_fault_is_somebodys() -> None:
    assert not CONNECTION & ANSWERS
