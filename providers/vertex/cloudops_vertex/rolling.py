"""Has one version take over from another, a step at a time: whoever looks at an endpoint takes the next one.

Each step is an update of the endpoint as it was seen, or a call that does no harm when it is made twice.
See docs/decisions/0019-vertex-canaries-are-driven-by-whoever-looks.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cloudops.errors import AuthError, Conflict

from . import registry, secrets, serving
from .canaries import complaint
from .endpoint_status import versions
from .endpoints import Json, begun, ended, failure
from .errors import is_kind
from .rollout import Rollout
from .statuses import seconds

if TYPE_CHECKING:
    from .client import Client
    from .endpoint_logs import EndpointLogs
    from .endpoints import Endpoints
    from .registry import Registry
    from .storage import Storage

#: Steps that are taken at one look, at most.
_STEPS = 8
#: Seconds after which a log is looked at again for lines that are late, and how often.
_LATE, _LOOKS = 1.5, 3


class Rolling:
    """The rollouts of a project and location.

    Args:
        client: for its clock.
        storage: where versions are.
        endpoints: of the client.
        models: of its endpoints.
        logs: of its endpoints.
    """

    def __init__(
        self, client: Client, storage: Storage, endpoints: Endpoints, models: Registry, logs: EndpointLogs
    ) -> None:
        self._client = client
        self._storage = storage
        self._endpoints = endpoints
        self._models = models
        self._logs = logs
        #: The ids of what was told to leave.
        self._leaving: set[str] = set()

    def advance(self, endpoint: str) -> Json | None:
        """Take what steps can be taken now; the endpoint as it is then, or None where there is none."""
        for _ in range(_STEPS):
            described = self._endpoints.get(endpoint)
            if described is None or not self._step(endpoint, described):
                return described
        return self._endpoints.get(endpoint)

    def update(self, described: Json, rollout: Rollout, shares: Mapping[str, int] | None = None) -> bool:
        """Change what an endpoint keeps of its rollout, and its traffic; False where it has changed meanwhile."""
        changes: dict[str, Any] = {"description": rollout.text}
        if shares is not None:
            changes["trafficSplit"] = {_deployed_of(described, version): share for version, share in shares.items()}
        try:
            self._endpoints.patch(described, **changes)
        except Exception as error:
            if is_kind(error, Conflict):
                return False
            raise
        return True

    def newest(self, endpoint: str) -> float:
        """When the newest operation of an endpoint began, by the service's clock; 0 where there is none."""
        return max((begun(each) for each in self._endpoints.operations(endpoint)), default=0.0)

    def start(self, endpoint: str) -> None:
        """Begin to deploy the version that is on its way, unless another call was faster.

        Raises:
            Refused: it cannot be; then it is not on its way any more, and of what was made for it nothing is left.
        """
        described = self._endpoints.get(endpoint)
        if described is None:
            return
        rollout = Rollout.of(described)
        try:
            self._deploy(endpoint, described, rollout)
        except Exception as error:
            if is_kind(error, Conflict) and self._is_on_its_way(endpoint, rollout):
                return
            with suppress(Exception):
                self._undo(endpoint, rollout)
            raise

    def _deploy(self, endpoint: str, described: Json, rollout: Rollout) -> None:
        model = self._models.get(endpoint, rollout.wanted)
        if model is None:
            raise Conflict(
                f"the model of the version {rollout.wanted} of {endpoint} was deleted",
                provider="vertex",
                hint="deploy it again",
            )
        split = {
            "0" if version == rollout.wanted else _deployed_of(described, version): share
            for version, share in rollout.first.items()
        }
        deployed = {**registry.deployment(model), "id": rollout.deployed_id(endpoint)}
        self._endpoints.deploy(endpoint, deployed, split)

    def _is_on_its_way(self, endpoint: str, rollout: Rollout) -> bool:
        """Whether what could not be begun with goes on all the same: another client began with it."""
        described = self._endpoints.get(endpoint)
        if described is None or Rollout.of(described).number != rollout.number:
            return True  # it has gone on, or the endpoint was deleted
        deployed = rollout.deployed_id(endpoint)
        return deployed in versions(described) or bool(self._endpoints.deploying(endpoint, rollout.since))

    def _undo(self, endpoint: str, rollout: Rollout) -> None:
        described = self._endpoints.get(endpoint)
        if described is None or Rollout.of(described).number != rollout.number:
            return
        if rollout.live or described.get("deployedModels"):
            self.update(described, Rollout.of(described).withdrawn())
            self.advance(endpoint)
        else:
            self._endpoints.delete(endpoint)
            self.remove(endpoint, rollout.wanted)

    # Steps

    def _step(self, endpoint: str, described: Json) -> bool:
        """Take one step; whether the endpoint has changed by it."""
        rollout = Rollout.of(described)
        if rollout.wanted and self._move(endpoint, described, rollout):
            return True
        with suppress(AuthError):  # one who may only look leaves that to others
            self._retire(endpoint, described, rollout)
            return self._tidy(endpoint, described, rollout)
        return False

    def _move(self, endpoint: str, described: Json, rollout: Rollout) -> bool:
        """What there is to do for the version on its way."""
        deployed = rollout.deployed_id(endpoint)
        operations = self._endpoints.deploying(endpoint, rollout.since)
        one = next((each for each in described.get("deployedModels", ()) if each["id"] == deployed), None)
        if one is not None:
            return self._watch(endpoint, described, rollout, _up_since(one, operations))
        if any(not each.get("done") for each in operations):
            return False
        if not operations:  # whoever wanted it was cut off
            self.start(endpoint)
            return False
        if "error" in operations[-1]:
            return self._changed(described, rollout.failed(self._why(endpoint, deployed, operations[-1])))
        again = self._endpoints.get(endpoint)
        if again is None or again.get("etag") != described.get("etag"):
            return again is not None
        return self._changed(described, rollout.failed("it was taken out of service by somebody else"))

    def _watch(self, endpoint: str, described: Json, rollout: Rollout, since: float) -> bool:
        """What there is to do for a version that is up: it has its traffic from that moment on."""
        if rollout.first == rollout.goal:
            return self._changed(described, rollout.finished())
        why = complaint(self._client, self._logs, endpoint, rollout.deployed_id(endpoint), since, rollout.rate)
        if why:
            return self._changed(described, rollout.failed(f"rolled back: {why}"), {rollout.live: 100})
        if self._client.now() < since + rollout.bake:
            return False
        return self._changed(described, rollout.finished(), rollout.goal)

    def _changed(self, described: Json, rollout: Rollout, shares: Mapping[str, int] | None = None) -> bool:
        """True: the endpoint has changed, by this update or by somebody else's that was faster."""
        self.update(described, rollout, shares)
        return True

    def _why(self, endpoint: str, deployed: str, operation: Json) -> str:
        """Why a model could not be deployed; in the words of its log, where they come in time."""
        reason = failure(operation).message
        for number in range(_LOOKS):
            if said := self._logs.unloaded(endpoint, deployed):
                return f"{said} ({reason})"
            if number + 1 < _LOOKS:
                self._client.sleep(_LATE)
        return reason

    def _retire(self, endpoint: str, described: Json, rollout: Rollout) -> None:
        """Take out of service what has no traffic and is not on its way to some."""
        own = rollout.deployed_id(endpoint) if rollout.wanted else ""
        split = described.get("trafficSplit", {})
        for deployed in versions(described):
            if not split.get(deployed) and deployed not in (own, *self._leaving):
                self._endpoints.undeploy(endpoint, deployed)
                self._leaving.add(deployed)

    def _tidy(self, endpoint: str, described: Json, rollout: Rollout) -> bool:
        """Delete what is left of versions that nobody needs; whether that is over."""
        there = set(versions(described).values())
        if not rollout.stale or there.intersection(rollout.stale):
            return False
        gone = [self.remove(endpoint, version) for version in rollout.stale]
        return all(gone) and self._changed(described, rollout.settled())

    def remove(self, endpoint: str, version: str) -> bool:
        """Delete a version's model, its secret and its folder, in that order; False where that cannot be yet."""
        model = self._models.get(endpoint, version)
        if model is None:
            return True
        folder = registry.folder(model)
        if "cloudops_secret" in model.get("labels", {}):
            secrets.delete(self._client, serving.secret_name(endpoint, version), serving.SECRETS)
        if not self._models.delete(endpoint, version):
            return False
        if folder is not None:
            self._storage.delete_all(folder)
        return True


def _up_since(deployed: Mapping[str, Any], operations: list[Json]) -> float:
    """When a model came up: the end of what deployed it, or where that is not known any more, its own time."""
    done = [each for each in operations if each.get("done") and "error" not in each]
    told = ended(done[-1]) if done else None
    return told or seconds(deployed.get("createTime")) or 0.0


def _deployed_of(described: Mapping[str, Any], version: str) -> str:
    """The id by which a version is deployed: that with traffic where there are two, else the newest."""
    split = described.get("trafficSplit", {})
    found = [deployed for deployed, each in versions(described).items() if each == version]
    if not found:
        text = f"the version {version} is not deployed any more"
        raise Conflict(text, provider="vertex", hint="`cloudops status` tells which are")
    return max(found, key=lambda deployed: bool(split.get(deployed)))
