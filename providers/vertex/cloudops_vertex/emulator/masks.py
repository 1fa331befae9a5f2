"""Updates by a mask: what a request changes of a resource."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .protocol.behaviour import OUTPUT_ONLY, marked
from .protocol.errors import refused


def update(target: Any, source: Any, paths: Sequence[str], allowed: Sequence[str]) -> None:
    """Have ``target`` be as ``source`` in the fields of ``paths``.

    Args:
        target: the resource; changed only where all paths are good.
        source: what the request has sent.
        paths: of fields, with dots; ``*`` is all that may be changed.
        allowed: the fields that may be changed.

    Raises:
        ServiceError: INVALID_ARGUMENT: a path is no field, or one that cannot be changed.
    """
    wanted = list(allowed) if list(paths) == ["*"] else [path for path in paths if path != "etag"]
    fixed = {field.name for field in marked(target.DESCRIPTOR, OUTPUT_ONLY)}
    problems = []
    for path in wanted:
        head = path.partition(".")[0]
        if head not in target.DESCRIPTOR.fields_by_name:
            problems.append(("update_mask", f"Unknown field {path!r} in the update mask."))
        elif head in fixed or head not in allowed:
            problems.append(("update_mask", f"Field {path!r} cannot be updated."))
    if problems:
        raise refused(problems)
    for path in wanted:
        _put(target, source, path.split("."))


def _put(target: Any, source: Any, path: Sequence[str]) -> None:
    name, rest = path[0], path[1:]
    field = target.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        raise refused([("update_mask", f"Unknown field {name!r} in the update mask.")])
    entry = field.message_type is not None and field.message_type.GetOptions().map_entry
    if rest and entry:
        key = ".".join(rest)
        if key in getattr(source, name):
            getattr(target, name)[key] = getattr(source, name)[key]
        else:
            getattr(target, name).pop(key, None)
    elif rest:
        _put(getattr(target, name), getattr(source, name), rest)
    else:
        target.ClearField(name)
        if field.is_repeated:
            getattr(target, name).MergeFrom(getattr(source, name))
        elif field.message_type is not None:
            if source.HasField(name):
                getattr(target, name).CopyFrom(getattr(source, name))
        else:
            setattr(target, name, getattr(source, name))
