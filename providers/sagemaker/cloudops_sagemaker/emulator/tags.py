"""Tags of what this emulator keeps; those of anything else are moto's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .operations import NotOurs, invalid, operation

if TYPE_CHECKING:
    from .region import Region

_MOST = 50


def tags_of(params: Mapping[str, Any]) -> dict[str, str]:
    """The tags of a Create operation.

    Raises:
        ServiceError: there is one twice, or one of AWS's own.
    """
    given = params.get("Tags", [])
    found = {tag["Key"]: tag["Value"] for tag in given}
    if len(found) < len(given):
        raise invalid("Duplicate tag keys are not allowed")
    _check(found, len(found))
    return found


@operation("AddTags")
def add_tags(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """AddTags."""
    with region.lock:
        tags = _tags(region, params["ResourceArn"])
        new = tags_of(params)
        _check(new, len(tags | new))
        tags.update(new)
        return {"Tags": _listed(tags)}


@operation("ListTags")
def list_tags(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """ListTags."""
    with region.lock:
        return {"Tags": _listed(_tags(region, params["ResourceArn"]))}


@operation("DeleteTags")
def delete_tags(region: Region, params: dict[str, Any]) -> Mapping[str, Any]:
    """DeleteTags."""
    with region.lock:
        tags = _tags(region, params["ResourceArn"])
        for key in params["TagKeys"]:
            tags.pop(key, None)
    return {}


def _tags(region: Region, arn: str) -> dict[str, str]:
    found = region.tags(arn)
    if found is None:
        raise NotOurs
    return found


def _check(tags: Mapping[str, str], count: int) -> None:
    for key in tags:
        if key.lower().startswith("aws:"):
            raise invalid(f"Tag key {key!r} is reserved: keys must not begin with aws:")
    if count > _MOST:
        raise invalid(f"The number of tags, {count}, exceeds the limit of {_MOST}")


def _listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
