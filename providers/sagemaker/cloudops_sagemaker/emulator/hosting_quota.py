"""How many instances of a type endpoints have, and whether there may be more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .hosted import all_hosted
from .instances import check_instance

if TYPE_CHECKING:
    from .hosted import Hosted
    from .region import Region


def check_config(region: Region, config: Mapping[str, Any]) -> None:
    """Have room for all variants of an endpoint configuration, beside everything that there is.

    Raises:
        ServiceError: ``ResourceLimitExceeded``.
    """
    wanted: Counter[str] = Counter()
    for variant in config["ProductionVariants"]:
        if "InstanceType" in variant:
            wanted[variant["InstanceType"]] += variant["InitialInstanceCount"]
    for kind, count in wanted.items():
        check_instance(kind, count, "endpoint", _used(region, kind))


def check_growth(hosted: Hosted, counts: Mapping[str, int]) -> None:
    """Have room for as many more instances as variants are to have, by name.

    Raises:
        ServiceError: ``ResourceLimitExceeded``.
    """
    for name, count in counts.items():
        member = hosted.member(name)
        if member is not None and "InstanceType" in member.config and count > member.count:
            kind = member.config["InstanceType"]
            check_instance(kind, count - member.count, "endpoint", _used(hosted.region, kind))


def _used(region: Region, kind: str) -> int:
    used = 0
    for hosted in all_hosted(region.all("endpoint")):
        with hosted.lock:
            sides = [side for side in (hosted.blue, hosted.green) if side is not None]
            members = [member for side in sides for member in side.members.values()]
            used += sum(member.count for member in members if member.config.get("InstanceType") == kind)
    return used
