"""Rollouts go on by whoever looks: crashes, canaries that die, nobody looking, and two who look at once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from cloudops_vertex import rolling
from cloudops_vertex.endpoint_status import endpoint_status, traffic
from cloudops_vertex.endpoints import begun, is_deployment
from cloudops_vertex.errors import Answered, Refused
from cloudops_vertex.rolling import Rolling
from cloudops_vertex.rollout import Rollout

from cloudops.errors import InvalidRequest
from cloudops.refs import Phase

NAME = "projects/1/locations/us-central1/endpoints/e"


class Service:
    """An endpoint with what is deployed, models and operations; its clock is moved by hand."""

    def __init__(self) -> None:
        self.time = 1_000_000.0
        self.endpoint: dict[str, Any] | None = {"name": NAME, "etag": "1", "deployedModels": [], "trafficSplit": {}}
        self.models: dict[str, dict[str, Any]] = {}
        self.made: list[dict[str, Any]] = []
        self.calls: list[str] = []
        self.refuse: Exception | None = None
        self.before_patch: Callable[[], None] | None = None

    # As Endpoints

    def get(self, endpoint: str) -> dict[str, Any] | None:
        return copy.deepcopy(self.endpoint)

    def patch(self, described: Mapping[str, Any], **changes: Any) -> None:
        meanwhile, self.before_patch = self.before_patch, None
        if meanwhile is not None:
            meanwhile()
        assert self.endpoint is not None
        if described["etag"] != self.endpoint["etag"]:
            raise Refused(Answered("ABORTED", "The etag does not match.", 409))
        self.endpoint.update(copy.deepcopy(changes))
        self._touch()

    def deploy(self, endpoint: str, deployed: Mapping[str, Any], split: Mapping[str, int]) -> None:
        self.calls.append("deploy")
        if self.refuse is not None:
            raise self.refuse
        assert self.endpoint is not None
        if deployed["id"] in {one["deployed"] for one in self.made}:
            raise Refused(Answered("ALREADY_EXISTS", "It is there.", 409))
        times = {"createTime": _told(self.time), "updateTime": _told(self.time)}
        metadata = {"@type": "x/DeployModelOperationMetadata", "genericMetadata": times}
        self.made.append(
            {"metadata": metadata, "deployed": deployed["id"], "model": dict(deployed), "split": dict(split)}
        )

    def undeploy(self, endpoint: str, deployed: str) -> None:
        self.calls.append(f"undeploy {deployed}")
        assert self.endpoint is not None
        left = [one for one in self.endpoint["deployedModels"] if one["id"] != deployed]
        self.endpoint["deployedModels"] = left
        self._touch()

    def delete(self, endpoint: str) -> None:
        self.endpoint = None

    def operations(self, endpoint: str) -> list[dict[str, Any]]:
        return copy.deepcopy(self.made)

    def deploying(self, endpoint: str, since: float) -> list[dict[str, Any]]:
        return [one for one in self.operations(endpoint) if is_deployment(one) and begun(one) > since]

    # What happens there

    def come_up(self) -> None:
        """What is being deployed is healthy: its traffic moves."""
        one = self._end()
        assert self.endpoint is not None
        self.endpoint["deployedModels"].append({**one["model"], "createTime": _told(self.time)})
        self.endpoint["trafficSplit"] = {
            one["deployed"] if key == "0" else key: share for key, share in one["split"].items()
        }
        self._touch()

    def fail(self) -> None:
        self._end()["error"] = {"code": 9, "message": "Model server never became ready."}

    def _end(self) -> dict[str, Any]:
        self.time += 60
        one = next(each for each in self.made if not each.get("done"))
        one["done"] = True
        one["metadata"]["genericMetadata"]["updateTime"] = _told(self.time)
        return one

    def _touch(self) -> None:
        assert self.endpoint is not None
        self.endpoint["etag"] = str(int(self.endpoint["etag"]) + 1)


class Models:
    """As Registry."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def get(self, endpoint: str, version: str) -> dict[str, Any] | None:
        return self._service.models.get(version)

    def delete(self, endpoint: str, version: str) -> bool:
        self._service.models.pop(version, None)
        return True


def _told(when: float) -> str:
    return datetime.fromtimestamp(when, UTC).isoformat().replace("+00:00", "Z")


class World:
    """A service, and those who look at it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.service = Service()
        self.complaint = ""
        self.removed: list[Any] = []
        monkeypatch.setattr(rolling, "complaint", lambda *_: self.complaint)

    def looker(self) -> Rolling:
        """Another process: it remembers nothing."""
        client: Any = SimpleNamespace(now=lambda: self.service.time, sleep=lambda _: None)
        storage: Any = SimpleNamespace(delete_all=self.removed.append)
        logs: Any = SimpleNamespace(unloaded=lambda *_: "")
        service: Any = self.service
        models: Any = Models(self.service)
        return Rolling(client, storage, service, models, logs)

    def look(self) -> dict[str, Any]:
        found = self.looker().advance("e")
        assert found is not None
        return found

    def want(self, version: str, canary: int = 0, *, start: bool = True) -> None:
        """What the deployer does before it begins to deploy, and that."""
        service = self.service
        assert service.endpoint is not None
        name = f"projects/1/locations/us-central1/models/e-{version}"
        service.models[version] = {
            "name": name,
            "description": '{"displayName": "x"}',
            "artifactUri": f"gs://b/p/{version}/artifact",
        }
        before = Rollout.of(service.endpoint)
        goal = {version: 100}
        first = {version: canary, before.live: 100 - canary} if canary else goal
        since = max((begun(one) for one in service.made), default=0.0)
        service.time += 1
        made = before.begun(version, first, goal, since=since, previous=before.live, bake=300.0, rate=0.05)
        assert self.looker().update(service.endpoint, made)
        if start:
            self.looker().start("e")

    def live(self, version: str) -> None:
        self.want(version)
        self.service.come_up()
        assert traffic(self.look()) == {version: 100}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def status(described: dict[str, Any]) -> tuple[Phase, dict[str, float], str]:
    found = endpoint_status(described, "https://x")
    return found.phase, dict(found.traffic), found.refused


def test_a_first_version_comes_to_serve(world: World) -> None:
    world.want("a")
    assert status(world.look()) == (Phase.STARTING, {}, "")
    world.service.come_up()
    assert status(world.look()) == (Phase.READY, {"a": 100.0}, "")


def test_the_one_before_goes_and_its_model_stays_and_the_one_before_that_goes_whole(world: World) -> None:
    for version in ("a", "b", "c"):
        world.live(version)
    world.look()
    assert world.service.endpoint is not None
    assert [one["model"][-1] for one in world.service.endpoint["deployedModels"]] == ["c"]
    assert set(world.service.models) == {"b", "c"}
    assert [place.uri for place in world.removed] == ["gs://b/p/a"]


def test_whoever_looks_goes_on_with_what_was_cut_off(world: World) -> None:
    """The endpoint says what it wants, and nobody has begun to deploy it."""
    world.want("a", start=False)
    assert status(world.look()) == (Phase.STARTING, {}, "")
    assert world.service.calls == ["deploy"]
    world.look()
    assert world.service.calls == ["deploy"]
    world.service.come_up()
    assert status(world.look()) == (Phase.READY, {"a": 100.0}, "")


def test_what_fails_leaves_the_one_before_and_nothing_of_itself(world: World) -> None:
    world.live("a")
    world.want("b")
    world.service.fail()
    described = world.look()
    assert status(described) == (Phase.READY, {"a": 100.0}, "b")
    assert "never became ready" in endpoint_status(described, "").reason
    assert set(world.service.models) == {"a"}


def test_what_failed_can_be_wanted_again(world: World) -> None:
    world.want("a")
    world.service.fail()
    assert status(world.look())[0] is Phase.FAILED
    world.want("a")
    assert status(world.look())[0] is Phase.STARTING
    world.service.come_up()
    assert status(world.look()) == (Phase.READY, {"a": 100.0}, "")


def test_a_canary_is_watched_and_then_gets_all(world: World) -> None:
    world.live("a")
    world.want("b", canary=20)
    world.service.come_up()
    assert status(world.look()) == (Phase.UPDATING, {"b": 20.0, "a": 80.0}, "")
    world.service.time += 299
    assert status(world.look())[0] is Phase.UPDATING
    world.service.time += 1
    assert status(world.look()) == (Phase.READY, {"b": 100.0}, "")


def test_a_canary_that_dies_is_undone(world: World) -> None:
    world.live("a")
    world.want("b", canary=20)
    world.service.come_up()
    world.complaint = "its server did not stay up"
    described = world.look()
    assert status(described) == (Phase.READY, {"a": 100.0}, "b")
    assert endpoint_status(described, "").reason == "rolled back: its server did not stay up"
    assert status(world.look()) == (Phase.READY, {"a": 100.0}, "b")
    assert set(world.service.models) == {"a"}


def test_a_canary_that_nobody_looks_at_stays_and_is_judged_by_the_next_who_does(world: World) -> None:
    """However late that is, and though its time is over: it has not been seen to be well."""
    world.live("a")
    world.want("b", canary=20)
    world.service.come_up()
    world.complaint = "its server did not stay up"
    world.service.time += 7 * 86400
    assert world.service.endpoint is not None
    assert traffic(world.service.endpoint) == {"b": 20, "a": 80}
    assert status(world.look()) == (Phase.READY, {"a": 100.0}, "b")


def test_of_two_who_look_at_once_one_takes_the_step(world: World) -> None:
    """One finds that the canary dies between the other's look and its update, which would have given it all."""
    world.live("a")
    world.want("b", canary=20)
    world.service.come_up()
    world.service.time += 300

    def other() -> None:
        world.complaint = "its server did not stay up"
        world.look()

    world.service.before_patch = other
    assert status(world.look()) == (Phase.READY, {"a": 100.0}, "b")


def test_of_two_who_begin_at_once_one_deploys(world: World) -> None:
    world.want("a", start=False)
    world.looker().start("e")
    world.looker().start("e")  # is told that it is there, and content
    assert world.service.calls == ["deploy", "deploy"]
    assert len(world.service.made) == 1


def test_a_first_version_that_is_refused_leaves_nothing(world: World) -> None:
    world.want("a", start=False)
    world.service.refuse = Refused(Answered("INVALID_ARGUMENT", "no such machine", 400))
    with pytest.raises(Refused):
        world.looker().start("e")
    assert world.service.endpoint is None
    assert world.service.models == {}


def test_a_later_version_that_is_refused_leaves_the_one_before(world: World) -> None:
    world.live("a")
    world.want("b", start=False)
    world.service.refuse = InvalidRequest("no such machine")
    with pytest.raises(InvalidRequest):
        world.looker().start("e")
    assert status(world.look()) == (Phase.READY, {"a": 100.0}, "")
    assert set(world.service.models) == {"a"}


def test_what_somebody_else_took_out_is_refused(world: World) -> None:
    world.live("a")
    world.want("b", canary=20)
    world.service.come_up()
    assert world.service.endpoint is not None
    world.service.endpoint["deployedModels"].pop()
    world.service.endpoint["trafficSplit"] = {one["id"]: 100 for one in world.service.endpoint["deployedModels"]}
    assert status(world.look()) == (Phase.READY, {"a": 100.0}, "b")


def test_what_cloudops_did_not_deploy_is_left_alone(world: World) -> None:
    world.live("a")
    assert world.service.endpoint is not None
    world.service.endpoint["deployedModels"].append({"id": "7", "model": "projects/1/locations/x/models/other"})
    world.look()
    assert "undeploy 7" not in world.service.calls
