from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from cloudops.engine.router_balance import Balancer


def _routes(**weights: float) -> dict[str, Any]:
    return {
        name: {
            "weight": weight,
            "timeout": 60.0,
            "hold": 5.0,
            "replicas": [[f"{name}/0/1", 9000], [f"{name}/1/2", 9001]],
        }
        for name, weight in weights.items()
    }


@pytest.fixture
def balancer() -> Balancer:
    return Balancer()


def _chosen(balancer: Balancer, count: int, pin: str | None = None) -> list[str]:
    found = [balancer.choose(pin, (), 0.0) for _ in range(count)]
    return [target.version for target in found if target]


def test_shares_are_exact_and_evenly_spread(balancer: Balancer) -> None:
    balancer.apply(1, _routes(a=0.9, b=0.1))
    order = _chosen(balancer, 1000)
    assert Counter(order) == {"a": 900, "b": 100}
    for start in range(0, 1000, 10):
        assert order[start : start + 10].count("b") == 1


def test_three_versions(balancer: Balancer) -> None:
    balancer.apply(1, _routes(a=0.5, b=0.3, c=0.2))
    assert Counter(_chosen(balancer, 100)) == {"a": 50, "b": 30, "c": 20}


def test_version_without_share_is_only_for_those_who_ask(balancer: Balancer) -> None:
    balancer.apply(1, _routes(a=1.0, b=0.0))
    assert set(_chosen(balancer, 50)) == {"a"}
    assert set(_chosen(balancer, 50, pin="b")) == {"b"}
    assert balancer.choose("c", (), 0.0) is None


def test_least_busy_replica_and_turns_among_equals(balancer: Balancer) -> None:
    balancer.apply(1, _routes(a=1.0))
    keys = [balancer.choose(None, (), 0.0).key for _ in range(4)]
    assert keys == ["a/0/1", "a/1/2"] * 2
    busy = balancer.choose(None, (), 0.0)
    busy.open += 1
    assert {balancer.choose(None, (), 0.0).key for _ in range(4)} == {"a/1/2"}


def test_where_it_failed_comes_last(balancer: Balancer) -> None:
    balancer.apply(1, _routes(a=1.0))
    assert {balancer.choose(None, ["a/0/1"], 0.0).key for _ in range(4)} == {"a/1/2"}
    assert balancer.choose(None, ["a/0/1", "a/1/2"], 0.0) is not None


def test_suspects_are_left_out_for_a_while(balancer: Balancer) -> None:
    balancer.apply(1, _routes(a=0.5, b=0.5))
    for _ in range(2):
        balancer.suspect(balancer.choose("a", (), 0.0), 10.5)
    assert set(_chosen(balancer, 10)) == {"b"}, "its share goes to who is well"
    assert balancer.choose("a", (), 10.0) is None
    assert balancer.choose("a", (), 10.6) is not None
    assert balancer.hold("a") == 5.0


def test_new_routes_clear_suspicions_and_wake_who_waits(balancer: Balancer) -> None:
    balancer.apply(1, _routes(a=1.0))
    for _ in range(2):
        balancer.suspect(balancer.choose("a", (), 0.0), 10.0)
    event = balancer.changed
    balancer.apply(2, _routes(a=1.0))
    assert event.is_set()
    assert not balancer.changed.is_set()
    assert balancer.choose("a", (), 0.0) is not None
    assert balancer.applied == 2


def test_open_requests_outlive_their_route(balancer: Balancer) -> None:
    balancer.apply(1, _routes(a=1.0))
    target = balancer.choose(None, (), 0.0)
    target.open += 1
    balancer.apply(2, _routes(b=1.0))
    assert balancer.open() == {target.key: 1}
    target.open -= 1
    assert balancer.open() == {}


def test_who_is_to_blame_where_nobody_answers(balancer: Balancer) -> None:
    assert (balancer.blame(None), balancer.hold(None), balancer.ready(0.0)) == ("", 0.0, False)
    balancer.apply(1, _routes(a=0.2, b=0.8))
    assert (balancer.blame(None), balancer.blame("a")) == ("b", "a")
    assert balancer.ready(0.0)


def test_unchanged_shares_go_on_where_they_were(balancer: Balancer) -> None:
    order = []
    for seq in range(100):
        balancer.apply(seq, _routes(a=0.9, b=0.1))
        order += _chosen(balancer, 1)
    assert Counter(order) == {"a": 90, "b": 10}, "a replica that comes or goes does not begin the shares anew"
