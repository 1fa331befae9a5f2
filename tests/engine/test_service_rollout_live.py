"""New versions beside old ones, with clients that must not notice more than the version's name."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudops.engine import service
from cloudops.engine.service import Rollout, ServiceConflict

from .service_rig import Endpoint, bad, endpoint, spec, until


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Endpoint]:
    with endpoint(tmp_path / "endpoint") as made:
        yield made


def _versions(one: Endpoint, count: int) -> Counter[str]:
    return Counter(one.ask().version for _ in range(count))


def test_update_under_load_fails_no_request(one: Endpoint) -> None:
    one.up(spec("v1", env={"SLEEP": "0.02"}))
    with one.asked() as answers:
        for number in (2, 3, 4):
            state = one.up(spec(f"v{number}", env={"SLEEP": "0.02"}))
            assert state.phase == "ready"
        until(lambda: one.state.version("v3").state == "stopped")
    assert bad(answers) == []
    order = list(dict.fromkeys(answer.version for answer in sorted(answers, key=lambda one: one.began)))
    assert order == ["v1", "v2", "v3", "v4"]
    assert [one.state.version(name).state for name in order] == ["stopped", "stopped", "stopped", "live"]


def test_update_waits_for_long_requests_of_the_old_version(one: Endpoint) -> None:
    from threading import Thread

    one.up(spec("v1"))
    answers = []
    client = Thread(target=lambda: answers.append(one.ask("/sleep", b"2")))
    client.start()
    time.sleep(0.2)
    assert one.up(spec("v2")).phase == "ready"
    assert one.ask().version == "v2"
    assert one.state.version("v1").state == "draining"
    client.join()
    assert [(answer.status, answer.version) for answer in answers] == [(200, "v1")]
    until(lambda: one.state.version("v1").state == "stopped")


def test_canary_gets_its_share_and_then_all(one: Endpoint) -> None:
    one.up(spec("v1"))
    generation = service.deploy(one.directory, spec("v2"), Rollout(canary=0.2, bake=2.0))
    state = until(lambda: (found := one.state).version("v2").state == "baking" and found)
    assert (state.phase, state.reason) == ("updating", "baking version v2 for 2 s")
    assert (state.version("v1").traffic, state.version("v2").traffic) == (80, 20)
    assert (state.version("v1").target, state.version("v2").target) == (0, 100)
    assert _versions(one, 50) == {"v1": 40, "v2": 10}, "exact, not by chance"
    assert service.wait(one.directory, generation, timeout=20).version("v2").traffic == 100
    assert _versions(one, 10) == {"v2": 10}


def test_canary_that_answers_badly_is_rolled_back(one: Endpoint) -> None:
    one.up(spec("v1"))
    generation = service.deploy(one.directory, spec("v2", env={"FAIL": "1"}), Rollout(canary=0.5, bake=60))
    until(lambda: one.state.version("v2").state == "baking")
    answers = [one.ask() for _ in range(30)]
    state = service.wait(one.directory, generation, timeout=20)
    assert state.phase == "ready"
    assert state.reason.startswith("rolled back: version v2 answered ")
    assert "with a server error during its bake (100%, allowed 5%)" in state.reason
    assert (state.version("v1").traffic, state.version("v2").state) == (100, "failed")
    assert {answer.version for answer in bad(answers)} <= {"v2"}
    assert _versions(one, 10) == {"v1": 10}
    until(lambda: len(one.processes()) == 3)


def test_few_errors_are_allowed(one: Endpoint) -> None:
    one.up(spec("v1"))
    rollout = Rollout(canary=0.5, bake=1.5, max_error_rate=1.0)
    assert one.up(spec("v2", env={"FAIL": "1"}), rollout).version("v2").traffic == 100


def test_version_that_is_never_ready_is_rolled_back(one: Endpoint) -> None:
    one.up(spec("v1"))
    with one.asked() as answers:
        state = one.up(spec("v2", env={"NEVER_READY": "1"}, readiness_timeout=1.0))
    assert state.phase == "ready"
    assert state.reason == "rolled back: version v2 did not become ready in 1 s: serving ü"
    assert state.version("v2").state == "failed"
    assert bad(answers) == []
    assert {answer.version for answer in answers} == {"v1"}
    with pytest.raises(ServiceConflict, match="nothing to roll back to: no version was live before v1"):
        service.rollback(one.directory)


def test_version_that_ends_at_once_is_rolled_back_early(one: Endpoint) -> None:
    one.up(spec("v1"))
    began = time.monotonic()
    state = one.up(spec("v2", env={"EXIT": "1"}, readiness_timeout=600.0))
    assert time.monotonic() - began < 20
    assert state.reason == (
        "rolled back: version v2 ended 3 times before it was ready: exit code 1: "
        "RuntimeError: the model file is damaged"
    )


def test_version_that_crashes_in_its_bake_is_rolled_back(one: Endpoint) -> None:
    one.up(spec("v1"))
    generation = service.deploy(one.directory, spec("v2"), Rollout(canary=0.0, bake=60))
    until(lambda: one.state.version("v2").state == "baking")
    pin = {"x-cloudops-version": "v2"}
    until(lambda: one.ask("/crash", headers=pin) and one.state.observed_generation == generation and _settled(one))
    assert "rolled back: version v2 crashed 3 times during its bake" in one.state.reason
    assert one.ask().version == "v1"


def _settled(one: Endpoint) -> bool:
    return one.state.phase == "ready"


def test_rollback_goes_back_one_version_at_a_time(one: Endpoint) -> None:
    for name in ("v1", "v2", "v3"):
        one.up(spec(name))
    with one.asked() as answers:
        state = service.wait(one.directory, service.rollback(one.directory), timeout=20)
        assert (state.phase, state.reason) == ("ready", "rolled back to version v2")
        assert one.ask().version == "v2"
        service.wait(one.directory, service.rollback(one.directory), timeout=20)
        assert one.ask().version == "v1"
    assert bad(answers) == []
    with pytest.raises(ServiceConflict, match="no version was live before v1"):
        service.rollback(one.directory)
    assert one.up(spec("v3")).version("v3").traffic == 100, "what was left can be deployed again"


def test_rollback_out_of_a_rollout(one: Endpoint) -> None:
    one.up(spec("v1"))
    service.deploy(one.directory, spec("v2"), Rollout(canary=0.5, bake=60))
    service.wait(one.directory, service.rollback(one.directory), timeout=20)
    assert _versions(one, 6) == {"v1": 6}
    until(lambda: one.state.version("v2").state == "stopped")


def test_newer_deployment_replaces_one_under_way(one: Endpoint) -> None:
    one.up(spec("v1"))
    service.deploy(one.directory, spec("v2"), Rollout(canary=0.5, bake=60))
    until(lambda: one.state.version("v2").state == "baking")
    with one.asked() as answers:
        state = one.up(spec("v3"))
    assert state.version("v3").traffic == 100
    assert bad(answers) == []
    until(lambda: one.state.version("v2").state == "stopped")
    service.wait(one.directory, service.rollback(one.directory), timeout=20)
    assert one.ask().version == "v1", "v2 was never live"


def test_traffic_is_split_as_asked_and_versions_can_be_pinned(one: Endpoint) -> None:
    one.up(spec("v1"))
    one.up(spec("v2"))
    with one.asked() as answers:
        state = service.wait(one.directory, service.set_traffic(one.directory, {"v1": 75, "v2": 25}), timeout=20)
        assert [(version.name, version.traffic) for version in state.versions] == [("v1", 75), ("v2", 25)]
    assert _versions(one, 40) == {"v1": 30, "v2": 10}
    assert {one.ask(headers={"x-cloudops-version": "v2"}).version for _ in range(8)} == {"v2"}
    unknown = one.ask(headers={"x-cloudops-version": "v9"})
    assert (unknown.status, unknown.value) == (404, {"error": "version 'v9' does not run here; running: v1, v2"})
    service.wait(one.directory, service.set_traffic(one.directory, {"v1": 100, "v2": 0}), timeout=20)
    assert _versions(one, 10) == {"v1": 10}
    assert bad(answers) == []


def test_traffic_to_a_lame_version_leaves_alone_what_serves(one: Endpoint, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    version = spec("v1", env={"EXIT_FILE": str(broken)}, min_replicas=2, max_replicas=2, readiness_timeout=1.0)
    victim, survivor = (replica.pid for replica in one.up(version).version("v1").replicas)
    broken.touch()
    one.kill(victim)
    until(lambda: "in a row" in one.state.version("v1").reason)
    with one.asked() as answers:
        state = service.wait(one.directory, service.set_traffic(one.directory, {"v1": 100}), timeout=20)
    assert (state.phase, bad(answers)) == ("degraded", [])
    assert {answer.value["pid"] for answer in answers} == {survivor}


def test_traffic_that_makes_no_sense_changes_nothing(one: Endpoint) -> None:
    state = one.up(spec("v1"))
    with pytest.raises(ValueError, match=r"adds up to 90; expected 100"):
        service.set_traffic(one.directory, {"v1": 90})
    with pytest.raises(ValueError, match="expected 100"):
        service.set_traffic(one.directory, {"v1": 150, "v2": -50})
    with pytest.raises(LookupError, match="no version 'v2' here; there are: v1"):
        service.set_traffic(one.directory, {"v1": 50, "v2": 50})
    assert one.state.generation == state.generation


def test_new_version_begins_with_as_many_replicas_as_the_old_has(one: Endpoint) -> None:
    one.up(spec("v1", min_replicas=2, max_replicas=2))
    one.up(spec("v2", min_replicas=1, max_replicas=3))
    assert len(one.state.version("v2").replicas) == 2
