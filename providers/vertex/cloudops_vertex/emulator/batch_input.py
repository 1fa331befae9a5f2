"""The instances of a batch prediction: lines of objects in Cloud Storage, and what of them the model is asked.

https://cloud.google.com/vertex-ai/docs/predictions/get-batch-predictions#filter_and_transform_input_data
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .storage.errors import NotFound
from .storage.globs import compiled

if TYPE_CHECKING:
    from .site import Site
    from .storage.things import Object


class BadInstance(Exception):
    """A line that cannot be made an instance; the text says why."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One line.

    Args:
        shown: what the output has of it: ``{"key": ...}`` or ``{"instance": ...}``.
        sent: what the model gets.
        problem: why it cannot be sent; empty where it can.
    """

    shown: dict[str, Any]
    sent: Any = None
    problem: str = ""


def objects(site: Site, uris: list[str]) -> list[Object]:
    """The objects that the URIs of a job name; ``*`` stands for any characters.

    Raises:
        NotFound: there is no such bucket, or nothing matches.
    """
    found: dict[tuple[str, str], Object] = {}
    for uri in uris:
        bucket, _, name = uri.removeprefix("gs://").partition("/")
        if not any(sign in name for sign in "*?["):
            found[bucket, name] = site.buckets.get(bucket, name)
            continue
        pattern = compiled(name)
        same = [one for one in site.buckets.list(bucket) if pattern.fullmatch(one.name)]
        if not same:
            raise NotFound(f"No files found matching: {uri}")
        found.update({(one.bucket, one.name): one for one in same})
    return list(found.values())


def instances(site: Site, found: list[Object], config: Any) -> Iterator[Instance]:
    """The instances in objects, in their order; empty lines are none."""
    for one in found:
        for line in site.buckets.read(one.bucket, one.name).splitlines():
            if line.strip():
                yield _instance(line, config)


def _instance(line: bytes, config: Any) -> Instance:
    try:
        value = json.loads(line)
    except ValueError as error:
        text = line.decode("utf-8", "replace")
        return Instance({"instance": text}, problem=f"Invalid JSON: {error}")
    try:
        return Instance(_shown(value, config), _sent(value, config))
    except BadInstance as error:
        return Instance({"instance": value}, problem=str(error))


def _shown(value: Any, config: Any) -> dict[str, Any]:
    if not config.key_field:
        return {"instance": value}
    if not isinstance(value, dict) or config.key_field not in value:
        raise BadInstance(f"The key field {config.key_field!r} is not found in the instance.")
    return {"key": value[config.key_field]}


def _sent(value: Any, config: Any) -> Any:
    included, excluded = list(config.included_fields), {*config.excluded_fields, config.key_field} - {""}
    if not isinstance(value, dict):
        if included or excluded or config.instance_type == "object":
            raise BadInstance("The instance is no JSON object.")
        return value
    missing = [name for name in included if name not in value]
    if missing:
        raise BadInstance(f"The included field {missing[0]!r} is not found in the instance.")
    if config.instance_type == "array":
        if not included:
            raise BadInstance("included_fields must be specified to convert a JSON object to an array.")
        return [value[name] for name in included]
    kept = included or [name for name in value if name not in excluded]
    return {name: value[name] for name in kept}
