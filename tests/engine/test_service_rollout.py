"""The state machine of rollouts, without processes and with a clock of the test's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from cloudops.engine.rollout import Plan, Seen, advance, count, fallback, phase
from cloudops.engine.service_types import Desired, Rollout, ServiceConflict, VersionSpec

READY = Seen(ready=1)
WAITING = Seen(ready=0)
LAME = Seen(ready=1, wanted=2, served=True)
DOWN = Seen(ready=0, served=True)


def _desired() -> Desired:
    versions = {name: VersionSpec(name, ("serve",), readiness_timeout=30.0) for name in "abcd"}
    return Desired(1, 8000, 0.0, versions, {"a": 1.0}, "deploy")


@dataclass
class Endpoint:
    """A plan with what is desired and seen of it, and a clock."""

    desired: Desired = field(default_factory=_desired)
    plan: Plan = field(default_factory=Plan)
    seen: dict[str, Seen] = field(default_factory=dict)
    now: float = 1000.0

    def step(self, seconds: float = 0.0, **seen: Seen) -> Plan:
        self.now += seconds
        self.seen.update(seen)
        for _ in range(2):
            # What is written to disk between two looks must be all there is to know.
            stored = Plan.from_json(json.loads(json.dumps(self.plan.to_json())))
            self.plan = advance(stored, self.desired, self.seen, self.now)
        return self.plan

    def want(self, target: Mapping[str, float], action: str = "deploy", rollout: Rollout | None = None) -> None:
        self.desired = replace(
            self.desired,
            generation=self.desired.generation + 1,
            target=target,
            action=action,
            rollout=rollout or Rollout(),
        )

    def live(self, *names: str) -> Endpoint:
        """Versions that went live one after the other."""
        for name in names:
            if name != "a":
                self.want({name: 1.0})
            self.step(**{name: READY})
        return self


def test_first_version_gets_everything_once_it_is_ready() -> None:
    one = Endpoint()
    assert one.step(a=WAITING).weights == {}
    assert phase(one.plan, one.seen) == "creating"
    assert one.plan.running == {"a"}
    assert one.step(5, a=READY).weights == {"a": 1.0}
    assert (one.plan.stage, one.plan.history, phase(one.plan, one.seen)) == ("settled", ("a",), "ready")


def test_first_version_that_is_not_ready_in_time_fails() -> None:
    one = Endpoint()
    one.step(a=WAITING)
    assert one.step(29.9).stage == "starting"
    one.step(0.2, a=replace(WAITING, last_words="cannot open model.bin"))
    assert (one.plan.stage, one.plan.running) == ("failed", set())
    assert one.plan.reason == "version a did not become ready in 30 s: cannot open model.bin"
    assert phase(one.plan, one.seen) == "failed"


def test_time_of_preparation_does_not_count() -> None:
    one = Endpoint()
    one.step(a=replace(WAITING, preparing=True))
    assert one.step(500).stage == "starting"
    assert one.plan.reason == "preparing version a"
    one.step(1, a=WAITING)
    assert one.step(29).stage == "starting"
    assert one.step(2).stage == "failed"


def test_version_given_up_fails_before_its_time() -> None:
    one = Endpoint().live("a")
    one.want({"b": 1.0})
    one.step(1, b=replace(WAITING, given_up="ended 3 times before it was ready: exit code 1"))
    assert one.plan.weights == {"a": 1.0}
    assert one.plan.reason == "rolled back: version b ended 3 times before it was ready: exit code 1"
    assert one.plan.failed == {"b": "ended 3 times before it was ready: exit code 1"}
    assert one.plan.running == {"a"}


def test_every_replica_has_to_be_ready() -> None:
    one = Endpoint()
    assert one.step(a=Seen(ready=1, wanted=2)).stage == "starting"
    assert one.step(a=Seen(ready=2, wanted=2)).stage == "settled"


def test_without_bake_traffic_moves_at_once() -> None:
    one = Endpoint().live("a")
    one.want({"b": 1.0}, rollout=Rollout(canary=0.1))
    assert one.step(b=WAITING).weights == {"a": 1.0}
    assert (phase(one.plan, one.seen), one.plan.running) == ("updating", {"a", "b"})
    assert one.step(b=READY).weights == {"b": 1.0}
    assert one.plan.running == {"b"}


def test_canary_bakes_and_is_promoted() -> None:
    one = Endpoint().live("a")
    one.want({"b": 1.0}, rollout=Rollout(canary=0.1, bake=60))
    one.step(b=READY)
    assert one.plan.weights == pytest.approx({"a": 0.9, "b": 0.1})
    assert one.step(59).stage == "baking"
    assert one.step(2).weights == {"b": 1.0}
    assert one.plan.history == ("a", "b")


def test_bake_without_canary_keeps_the_old_version_running() -> None:
    one = Endpoint().live("a")
    one.want({"b": 1.0}, rollout=Rollout(bake=60))
    one.step(b=READY)
    assert (one.plan.weights, one.plan.running) == ({"b": 1.0}, {"a", "b"})
    one.plan = count(one.plan, {"b": (10, 10)})
    assert one.step(1).weights == {"a": 1.0}


def test_bake_judges_only_from_enough_requests() -> None:
    one = Endpoint().live("a")
    one.want({"b": 1.0}, rollout=Rollout(canary=0.5, bake=60, max_error_rate=0.25))
    one.plan = count(one.plan, {"b": (100, 100)})
    one.step(b=READY)
    one.plan = count(one.plan, {"a": (50, 0), "b": (4, 2)})
    assert one.step(1).stage == "baking", "four requests say nothing"
    one.plan = count(one.plan, {"b": (4, 0)})
    assert one.step(1).stage == "baking", "2 of 8 is what is allowed"
    one.plan = count(one.plan, {"b": (1, 1)})
    one.step(1)
    assert one.plan.reason == (
        "rolled back: version b answered 3 of 9 requests with a server error during its bake (33%, allowed 25%)"
    )


def test_bake_does_not_blame_the_new_version_for_what_the_live_one_does_too() -> None:
    one = Endpoint().live("a")
    one.want({"b": 1.0}, rollout=Rollout(canary=0.5, bake=60, max_error_rate=0.05))
    one.step(b=READY)
    one.plan = count(one.plan, {"a": (80, 16), "b": (20, 5)})
    assert one.step(1).stage == "baking", "25 % are not more than 5 % above 20 %"
    one.plan = count(one.plan, {"b": (2, 2)})
    one.step(1)
    assert one.plan.reason == (
        "rolled back: version b answered 7 of 22 requests with a server error during its bake "
        "(32%, allowed 5% more than the 20% of the live version)"
    )
    one.want({"c": 1.0}, rollout=Rollout(canary=0.5, bake=60))
    one.step(c=READY)
    assert (one.plan.live_requests, one.plan.live_errors) == (0, 0), "each bake counts for itself"


def test_few_requests_of_the_live_version_excuse_nothing() -> None:
    one = Endpoint().live("a")
    one.want({"b": 1.0}, rollout=Rollout(canary=0.5, bake=60))
    one.step(b=READY)
    one.plan = count(one.plan, {"a": (4, 4), "b": (10, 5)})
    assert one.step(1).weights == {"a": 1.0}


def test_crashes_in_the_bake_count_too() -> None:
    one = Endpoint().live("a")
    one.want({"b": 1.0}, rollout=Rollout(canary=0.5, bake=60))
    one.step(b=READY)
    assert one.step(1, b=Seen(ready=0, crashes=2)).stage == "baking"
    one.step(1, b=Seen(ready=0, crashes=3, last_words="Segmentation fault"))
    assert one.plan.reason == "rolled back: version b crashed 3 times during its bake: Segmentation fault"


def test_a_crash_that_nothing_made_up_for_ends_the_bake() -> None:
    one = Endpoint().live("a")
    one.want({"b": 1.0}, rollout=Rollout(canary=0.5, bake=60))
    one.step(b=READY)
    assert one.step(59, b=Seen(ready=1, crashes=1)).stage == "baking"
    one.step(2, b=Seen(ready=1, crashes=1, last_words="Segmentation fault"))
    assert one.plan.reason == "rolled back: version b crashed 1 times during its bake: Segmentation fault"


def test_rolled_back_version_can_be_tried_again() -> None:
    one = Endpoint().live("a")
    one.want({"b": 1.0})
    one.step(b=replace(WAITING, given_up="no"))
    one.want({"b": 1.0})
    one.step(b=WAITING)
    assert (one.plan.stage, one.plan.failed) == ("starting", {})
    assert one.step(b=READY).weights == {"b": 1.0}


def test_newer_deployment_takes_the_place_of_one_under_way() -> None:
    one = Endpoint().live("a")
    one.want({"b": 1.0}, rollout=Rollout(canary=0.5, bake=60))
    one.step(b=READY)
    one.want({"c": 1.0})
    one.step(c=WAITING)
    assert (one.plan.weights, one.plan.running) == ({"a": 1.0}, {"a", "c"})
    one.step(c=READY)
    assert one.plan.history == ("a", "c")


def test_rollbacks_go_further_and_further_back() -> None:
    one = Endpoint().live("a", "b", "c")
    for expected in ("b", "a"):
        one.want(fallback(one.plan, one.desired), "rollback")
        assert one.step(**{expected: WAITING}).weights != {expected: 1.0}
        assert phase(one.plan, one.seen) == "rolling_back"
        assert one.step(**{expected: READY}).weights == {expected: 1.0}
    with pytest.raises(ServiceConflict, match="no version was live before a"):
        fallback(one.plan, one.desired)


def test_rollback_twice_in_a_hurry_is_one_rollback() -> None:
    one = Endpoint().live("a", "b", "c")
    one.want(fallback(one.plan, one.desired), "rollback")
    assert fallback(one.plan, one.desired) == {"b": 1.0}, "not seen yet"
    one.step(b=WAITING)
    assert fallback(one.plan, one.desired) == {"b": 1.0}, "under way"


def test_rollback_out_of_a_rollout_that_was_not_even_seen() -> None:
    one = Endpoint().live("a")
    one.want({"b": 1.0})
    assert fallback(one.plan, one.desired) == {"a": 1.0}


def test_rollback_out_of_the_first_rollout_is_impossible() -> None:
    one = Endpoint()
    one.step(a=WAITING)
    with pytest.raises(ServiceConflict, match="no version was live before a"):
        fallback(one.plan, one.desired)


def test_rollback_of_a_split_leaves_the_newest_version() -> None:
    one = Endpoint().live("a", "b")
    one.want({"a": 0.5, "b": 0.5}, "traffic")
    one.step(a=READY, b=READY)
    assert one.plan.weights == {"a": 0.5, "b": 0.5}
    assert fallback(one.plan, one.desired) == {"a": 1.0}


def test_rollback_whose_version_does_not_come_up_keeps_the_live_one() -> None:
    one = Endpoint().live("a", "b")
    one.want(fallback(one.plan, one.desired), "rollback")
    one.step(a=replace(WAITING, given_up="ended 3 times"))
    assert one.plan.weights == {"b": 1.0}
    assert phase(one.plan, one.seen) == "ready"


def test_split_waits_for_stopped_versions() -> None:
    one = Endpoint().live("a", "b")
    one.want({"a": 0.3, "b": 0.7}, "traffic", Rollout(canary=0.1, bake=60))
    assert one.step(a=WAITING).weights == {"b": 1.0}
    assert one.step(a=READY).weights == {"a": 0.3, "b": 0.7}, "a split is not baked"
    assert one.plan.history == ("a", "b")


def test_live_version_without_replicas_is_degraded() -> None:
    one = Endpoint().live("a")
    one.step(a=WAITING)
    assert phase(one.plan, one.seen) == "recovering"
    assert one.step(1000).weights == {"a": 1.0}, "what is live is not given up"


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (READY, READY, "ready"),
        (READY, Seen(ready=1, wanted=2), "ready"),  # it is growing
        (READY, Seen(ready=1, wanted=2, crashes=1), "degraded"),
        (READY, Seen(ready=0, crashes=1), "recovering"),
        (READY, Seen(ready=0, crashes=2, down=True), "down"),
        (Seen(ready=0, crashes=1), Seen(ready=0, crashes=2, down=True), "down"),
    ],
)
def test_phase_tells_who_serves(first: Seen, second: Seen, expected: str) -> None:
    one = Endpoint().live("a", "b")
    one.want({"a": 0.5, "b": 0.5}, "traffic")
    one.step(a=READY, b=READY)
    one.step(a=first, b=second)
    assert phase(one.plan, one.seen) == expected


def test_resumed_endpoint_that_does_not_come_up_fails() -> None:
    one = Endpoint().live("a")
    one.want({"a": 1.0}, "resume")
    one.step(a=WAITING)
    assert one.step(31).stage == "failed"


@pytest.mark.parametrize("action", ["traffic", "deploy"])
def test_live_version_counts_with_the_replicas_that_it_has(action: str) -> None:
    one = Endpoint().live("a")
    one.step(a=LAME)
    one.want({"a": 1.0}, action)
    one.step()
    assert (one.plan.stage, one.plan.weights, one.plan.reason) == ("settled", {"a": 1.0}, "")


def test_rollback_out_of_a_bake_needs_no_complete_version_to_go_back_to() -> None:
    one = Endpoint().live("a")
    one.want({"b": 1.0}, rollout=Rollout(bake=60))
    one.step(a=LAME, b=READY)
    one.want(fallback(one.plan, one.desired), "rollback")
    one.step()
    assert (one.plan.stage, one.plan.weights, one.plan.reason) == ("settled", {"a": 1.0}, "rolled back to version a")


@pytest.mark.parametrize("action", ["traffic", "rollback"])
def test_traffic_does_not_leave_what_serves_for_a_version_that_is_down(action: str) -> None:
    one = Endpoint().live("a", "b")
    one.want({"a": 0.5, "b": 0.5}, "traffic")
    one.step(a=READY, b=READY)
    one.want({"a": 1.0}, action)
    one.step(a=Seen(ready=0, served=True, down=True))
    assert (one.plan.stage, one.plan.weights) == ("settled", {"a": 0.5, "b": 0.5})
    assert "version a does not come back" in one.plan.reason
    one.want({"a": 0.9, "b": 0.1}, "traffic")
    assert one.step(a=DOWN, b=READY).weights == {"a": 0.9, "b": 0.1}, "beside one that serves it may have its share"


def test_stopped_version_has_to_be_complete_before_it_gets_traffic_again() -> None:
    one = Endpoint().live("a", "b")
    one.want({"a": 1.0}, "traffic")
    one.step(a=LAME)
    assert (one.plan.stage, one.plan.weights) == ("starting", {"b": 1.0})
    one.step(31)
    assert (one.plan.stage, one.plan.weights) == ("settled", {"b": 1.0})
    assert one.plan.reason == "rolled back: version a did not become ready in 30 s"


def test_live_version_that_is_down_is_waited_for_when_it_is_deployed_again_and_kept() -> None:
    one = Endpoint().live("a")
    one.want({"a": 1.0})
    assert one.step(a=DOWN).stage == "starting"
    one.step(31)
    assert (one.plan.stage, one.plan.weights, one.plan.refused) == ("settled", {"a": 1.0}, "")
    assert one.plan.reason == "version a did not become ready in 30 s"


def test_resumed_endpoint_keeps_what_came_up() -> None:
    one = Endpoint().live("a", "b")
    one.want({"a": 0.5, "b": 0.5}, "traffic")
    one.step(a=READY, b=READY)
    one.want({"a": 0.5, "b": 0.5}, "resume")
    one.step(a=READY, b=WAITING)
    assert one.step(31).weights == {"a": 0.5, "b": 0.5}
    assert (one.plan.stage, one.plan.reason) == ("settled", "version b did not become ready in 30 s")
