"""How the traffic of an endpoint is shared out between its versions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cloudops.errors import Conflict, InvalidRequest, NotFound

from .endpoint_status import traffic
from .endpoints import Json
from .rollout import Rollout
from .serving import percents

if TYPE_CHECKING:
    from .registry import Registry
    from .rolling import Rolling

#: How often an endpoint is looked at again that somebody else has changed meanwhile.
_TRIES = 5


class Splitting:
    """Moves traffic: at once to what is deployed, with a deployment to what has to be deployed again."""

    def __init__(self, rolling: Rolling, models: Registry) -> None:
        self._rolling = rolling
        self._models = models

    def set(self, endpoint: str, shares: Mapping[str, float]) -> None:
        """Have each version get its share, in percent.

        Raises:
            InvalidRequest: these are no shares that Vertex AI takes, or a version is not there.
            Conflict: another change goes on.
        """
        wished = percents(shares)
        for _ in range(_TRIES):
            described = self._resting(endpoint)
            rollout = Rollout.of(described)
            if self._moved(endpoint, described, rollout, wished, rollout.before):
                return
        raise _changed(endpoint)

    def back(self, endpoint: str) -> None:
        """Give all traffic to the version before: that of a canary's others, or the one that was live.

        Raises:
            Conflict: there is none, or another change goes on.
        """
        for _ in range(_TRIES):
            described = self._existing(endpoint)
            rollout = Rollout.of(described)
            if rollout.wanted and rollout.wanted in traffic(described) and rollout.live in traffic(described):
                if self._rolling.update(described, rollout.withdrawn(), {rollout.live: 100}):
                    self._rolling.advance(endpoint)
                    return
                continue
            described = self._resting(endpoint)
            rollout = Rollout.of(described)
            if not rollout.before or self._models.get(endpoint, rollout.before) is None:
                text = f"the endpoint {endpoint} has no version before to go back to"
                raise Conflict(text, provider="vertex")
            if self._moved(endpoint, described, rollout, {rollout.before: 100}, ""):
                return
        raise _changed(endpoint)

    def _moved(
        self, endpoint: str, described: Json, rollout: Rollout, wished: Mapping[str, int], previous: str
    ) -> bool:
        """Move traffic; False where the endpoint has changed meanwhile."""
        absent = [version for version in wished if version not in traffic(described)]
        for version in absent:
            if self._models.get(endpoint, version) is None:
                known = ", ".join(each for each in (*traffic(described), rollout.before) if each) or "none"
                text = f"the endpoint {endpoint} has no version {version}"
                raise InvalidRequest(text, provider="vertex", hint=f"there are {known}")
        if len(absent) > 1:
            text = f"the versions {', '.join(absent)} of {endpoint} would have to be deployed again at once"
            raise Conflict(text, provider="vertex", hint="give traffic to one after the other")
        if not absent:
            done = self._rolling.update(described, rollout.shared(wished), wished)
            if done:
                self._rolling.advance(endpoint)
            return done
        since = self._rolling.newest(endpoint)
        begun = rollout.begun(absent[0], wished, wished, since=since, previous=previous)
        if not self._rolling.update(described, begun):
            return False
        self._rolling.start(endpoint)
        return True

    def _resting(self, endpoint: str) -> Json:
        described = self._existing(endpoint)
        if wanted := Rollout.of(described).wanted:
            text = f"the version {wanted} of the endpoint {endpoint} is on its way"
            raise Conflict(text, provider="vertex", hint="wait until that is over: `cloudops status`")
        return described

    def _existing(self, endpoint: str) -> Json:
        described = self._rolling.advance(endpoint)
        if described is None:
            raise NotFound(f"Vertex AI has no endpoint {endpoint}", provider="vertex")
        return described


def _changed(endpoint: str) -> Conflict:
    text = f"the endpoint {endpoint} is changed by others all the time"
    return Conflict(text, provider="vertex", hint="try again")
