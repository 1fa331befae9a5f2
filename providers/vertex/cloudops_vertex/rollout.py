"""How one version takes over from another: a record that the endpoint itself keeps, in its description.

Endpoint, traffic and record change together or not at all, as an update names the etag of what it changes. Everything
here is pure; see docs/decisions/0019-vertex-canaries-are-driven-by-whoever-looks.md.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from . import names

_NUMBERS = 9 * 10**9
_LONGEST = 500


@dataclass(frozen=True, slots=True)
class Rollout:
    """Where an endpoint stands, and where it goes.

    Args:
        live: the version that serves, or the one that has most of the traffic; empty where none has ever served.
        before: the version that a rollback goes to; empty for none.
        wanted: the version that is on its way; empty where none is.
        number: how many there have been on their way so far.
        since: when the newest operation began that there was before this one, by the service's clock.
        first: the share of each version in percent once ``wanted`` is up.
        goal: likewise once it was watched.
        bake: seconds for which it is watched.
        rate: the share of failed requests above which it is undone.
        previous: what ``before`` is to be at the end.
        refused: the version that came last, where it did not come to serve.
        reason: why.
        stale: versions of which something may be left that nobody needs.
    """

    live: str = ""
    before: str = ""
    wanted: str = ""
    number: int = 0
    since: float = 0.0
    first: Mapping[str, int] = field(default_factory=dict)
    goal: Mapping[str, int] = field(default_factory=dict)
    bake: float = 0.0
    rate: float = 0.0
    previous: str = ""
    refused: str = ""
    reason: str = ""
    stale: tuple[str, ...] = ()

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> Rollout:
        """That of an endpoint; an empty one where it keeps none."""
        try:
            found = json.loads(str(described.get("description") or "{}"))
        except ValueError:
            return cls()
        known = {each.name for each in dataclasses.fields(cls)}
        if not isinstance(found, dict):
            return cls()
        kept = {key: value for key, value in found.items() if key in known}
        return cls(**{**kept, "stale": tuple(kept.get("stale", ()))})

    @property
    def text(self) -> str:
        """As the endpoint keeps it; what is as by default is left out."""
        default = Rollout()
        values = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        told = {key: value for key, value in values.items() if value != getattr(default, key)}
        return json.dumps(told, ensure_ascii=False)

    def deployed_id(self, endpoint: str) -> str:
        """The id that ``wanted`` is deployed by: another one each time, and the same for whoever asks."""
        digest = names.short_digest([endpoint, self.wanted, self.number])
        return str(10**9 + int(digest, 16) % _NUMBERS)

    # Changes

    def begun(
        self,
        version: str,
        first: Mapping[str, int],
        goal: Mapping[str, int],
        *,
        since: float,
        previous: str,
        bake: float = 0.0,
        rate: float = 0.0,
    ) -> Rollout:
        """A version is on its way."""
        return dataclasses.replace(
            self,
            wanted=version,
            number=self.number + 1,
            since=since,
            first=dict(first),
            goal=dict(goal),
            bake=bake,
            rate=rate,
            previous=previous,
            refused="",
            reason="",
            stale=tuple(each for each in self.stale if each != version),
        )

    def finished(self) -> Rollout:
        """The version on its way has come to serve."""
        live = self.live if self.goal.get(self.live) and self.wanted not in _most(self.goal) else self.wanted
        return self._at_rest(live, self.previous, {self.wanted, self.live, self.before}, self.goal)

    def failed(self, reason: str) -> Rollout:
        """The version on its way is not to serve."""
        serving = {self.live: 100} if self.live else {}
        made = self._at_rest(self.live, self.before, {self.wanted}, serving)
        return dataclasses.replace(made, refused=self.wanted, reason=reason[:_LONGEST])

    def withdrawn(self) -> Rollout:
        """The version on its way was called back, or could not be begun with: as if it had never been wanted."""
        return dataclasses.replace(self.failed(""), refused="")

    def shared(self, shares: Mapping[str, int]) -> Rollout:
        """The traffic is split over what is deployed already."""
        live = self.live if shares.get(self.live) else _most(shares)[0]
        return self._at_rest(live, self.before, {self.live}, shares)

    def settled(self) -> Rollout:
        """There is nothing left of what was stale."""
        return dataclasses.replace(self, stale=())

    def _at_rest(self, live: str, before: str, known: set[str], shares: Mapping[str, int]) -> Rollout:
        kept = {live, before, *(version for version, share in shares.items() if share), ""}
        return Rollout(
            live=live,
            before="" if before == live else before,
            number=self.number,
            stale=tuple(sorted({*self.stale, *known} - kept)),
        )


def _most(shares: Mapping[str, int]) -> list[str]:
    """The versions with the largest share."""
    return [version for version, share in shares.items() if share == max(shares.values())]
