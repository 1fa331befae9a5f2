"""Names of models and of their versions: ``models/ID``, ``models/ID@2``, ``models/ID@alias``."""

from __future__ import annotations

import re
from typing import Any

from .crud import Kind
from .methods import Call
from .names import Name, parse
from .protocol.errors import ServiceError, refused
from .store import Record, Store

KIND = Kind(
    "Model",
    "models",
    ("display_name", "description", "labels", "version_description"),
    ids=re.compile(r"[a-z0-9_-]{1,63}"),
    missing="The Model does not exist.",
)
#: The alias of the version that a name without one means.
DEFAULT = "default"


def split(name: str, field: str = "name") -> tuple[Name, str]:
    """The name of a model, and the version or alias that it asks for (empty: the default one).

    Raises:
        ServiceError: INVALID_ARGUMENT: it is no name of a model.
    """
    own = parse(name, field)
    identifier, _, version = own.id.partition("@")
    if own.kind != KIND.collection or len(own.path) != 2 or not KIND.ids.fullmatch(identifier):
        raise refused([(field, "Invalid Model resource name.")])
    return Name(own.project, own.location, (KIND.collection, identifier)), version


def versions(store: Store, model: Name) -> list[Record]:
    """All versions of a model, the newest first."""
    own = store.canonical(model)
    found = [one for one in store.all(KIND.collection) if one.name.id.partition("@")[0] == own.id]
    same = [one for one in found if (one.name.project, one.name.location) == (own.project, own.location)]
    return sorted(same, key=lambda one: -int(one.message.version_id))


def version_name(model: Name, version: str) -> Name:
    """The name under which a version is kept."""
    return Name(model.project, model.location, (KIND.collection, f"{model.id}@{version}"))


def version(call: Call, name: str, field: str = "name") -> Record:
    """The version that ``name`` names: by number, by alias, or the default one.

    Raises:
        ServiceError: INVALID_ARGUMENT: it is no such name; NOT_FOUND.
    """
    model, wanted = split(name, field)
    for one in versions(call.site.store, model):
        if wanted in (one.message.version_id, *one.message.version_aliases) or (
            not wanted and DEFAULT in one.message.version_aliases
        ):
            return one
    raise ServiceError("NOT_FOUND", f"The Model {name} does not exist.")


def whole(message: Any) -> str:
    """The name of the version that a message describes."""
    return f"{message.name}@{message.version_id}"
