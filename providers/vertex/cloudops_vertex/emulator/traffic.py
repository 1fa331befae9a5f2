"""How the traffic of an endpoint is split over what is deployed to it."""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping

from .protocol.errors import refused

#: The id in a split that means what is being deployed.
NEW = "0"


def check_split(split: Mapping[str, int], known: Collection[str], field: str = "endpoint.traffic_split") -> None:
    """Have a split be over what is deployed, in percents that are 100 together; an empty one sends nothing anywhere.

    Raises:
        ServiceError: INVALID_ARGUMENT.
    """
    unknown = sorted(set(split) - set(known))
    if unknown:
        raise refused([(field, f"Traffic split contains a DeployedModel ID {unknown[0]!r} that is not deployed.")])
    if any(not 0 <= percent <= 100 for percent in split.values()):
        raise refused([(field, "Each traffic percentage must be between 0 and 100.")])
    if split and sum(split.values()) != 100:
        raise refused([(field, f"The traffic percentages must add up to 100; got {sum(split.values())}.")])


def pick(split: Mapping[str, int], draw: random.Random) -> str | None:
    """The deployed model that gets the next request; None where none gets any."""
    wanted = [(one, percent) for one, percent in split.items() if percent > 0]
    if not wanted:
        return None
    names, weights = zip(*wanted, strict=True)
    return str(draw.choices(names, weights)[0])
