"""What an endpoint keeps of its rollout, and what becomes of it."""

from __future__ import annotations

import re

import pytest
from cloudops_vertex.rollout import Rollout


def test_it_is_kept_as_text() -> None:
    made = Rollout().begun("b", {"b": 10, "a": 90}, {"b": 100}, since=5.25, previous="a", bake=60.0, rate=0.05)
    assert Rollout.of({"description": made.text}) == made
    assert Rollout().text == "{}"


@pytest.mark.parametrize("text", [None, "", "an endpoint of ours", "[1]", '{"unknown": 1}'])
def test_what_is_no_record_is_an_empty_one(text: str | None) -> None:
    assert Rollout.of({"description": text}) == Rollout()


def test_each_rollout_deploys_by_another_id_and_the_same_for_whoever_asks() -> None:
    first = Rollout().begun("a", {"a": 100}, {"a": 100}, since=0.0, previous="")
    again = first.failed("why").begun("a", {"a": 100}, {"a": 100}, since=1.0, previous="")
    assert re.fullmatch(r"[1-9][0-9]{9}", first.deployed_id("e"))
    assert first.deployed_id("e") == Rollout.of({"description": first.text}).deployed_id("e")
    assert len({first.deployed_id("e"), again.deployed_id("e"), first.deployed_id("f")}) == 3


def _live(version: str, before: str = "") -> Rollout:
    return Rollout(live=version, before=before, number=1)


def test_a_version_takes_over_and_the_one_before_is_kept() -> None:
    made = _live("b", "a").begun("c", {"c": 100}, {"c": 100}, since=0.0, previous="b").finished()
    assert (made.live, made.before, made.wanted, made.stale) == ("c", "b", "", ("a",))


def test_a_rollback_leaves_nothing_to_go_back_to() -> None:
    made = _live("b", "a").begun("a", {"a": 100}, {"a": 100}, since=0.0, previous="").finished()
    assert (made.live, made.before, made.stale) == ("a", "", ("b",))


def test_a_version_that_gets_a_part_leaves_the_larger_one_live() -> None:
    shares = {"a": 25, "b": 75}
    made = _live("b", "a").begun("a", shares, shares, since=0.0, previous="a").finished()
    assert (made.live, made.before, made.stale) == ("b", "a", ())


def test_what_failed_is_refused_and_stale() -> None:
    begun = _live("a").begun("b", {"b": 10, "a": 90}, {"b": 100}, since=0.0, previous="a", bake=60.0)
    failed = begun.failed("it died")
    assert (failed.live, failed.wanted, failed.refused, failed.reason) == ("a", "", "b", "it died")
    assert failed.stale == ("b",)
    assert (begun.withdrawn().refused, begun.withdrawn().reason) == ("", "")


def test_a_refused_version_that_a_rollback_goes_to_is_kept() -> None:
    failed = _live("b", "a").begun("a", {"a": 100}, {"a": 100}, since=0.0, previous="").failed("no machine")
    assert (failed.live, failed.before, failed.stale) == ("b", "a", ())


def test_a_version_that_is_wanted_again_is_not_stale() -> None:
    failed = _live("a").begun("b", {"b": 100}, {"b": 100}, since=0.0, previous="a").failed("it died")
    again = failed.begun("b", {"b": 100}, {"b": 100}, since=1.0, previous="a")
    assert (again.stale, again.refused, again.reason, again.number) == ((), "", "", 3)


def test_a_split_keeps_what_is_live_as_long_as_it_has_a_part() -> None:
    assert _live("b", "a").shared({"a": 60, "b": 40}).live == "b"
    moved = _live("b", "a").shared({"a": 100})
    assert (moved.live, moved.before, moved.stale) == ("a", "", ("b",))
