"""Resources that are created, read, listed, updated and deleted, and do nothing by themselves.

Each kind is a row of :data:`KINDS`; what it does beyond that is in a module of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from . import listing, masks
from .methods import Call
from .names import Name, new_id, not_a_name, parse
from .protocol import pool
from .protocol.behaviour import clear_output_only
from .protocol.errors import ServiceError, refused
from .store import Record, kept, shown

_NUMBER = re.compile(r"\d+")
#: Keys and values of labels: https://cloud.google.com/resource-manager/docs/labels-overview
_LABEL = re.compile(r"[\w-]{0,63}")
_LABELS = 64
_SHOWN_LENGTH = 128


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of resource.

    Args:
        name: of its message, such as ``CustomJob``.
        collection: in names, such as ``customJobs``.
        updatable: the fields that an update may change.
        ids: what its ids look like.
        missing: the text for one that does not exist; ``{name}`` is the name that was asked for, ``{own}`` the one with
            the project's number.
        invalid: the text for an id that it cannot have; empty where such a one is just not found.
    """

    name: str
    collection: str
    updatable: tuple[str, ...] = ()
    ids: re.Pattern[str] = _NUMBER
    missing: str = "The {kind} does not exist."
    invalid: str = ""

    @property
    def field(self) -> str:
        """Of requests, such as ``custom_job``."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", self.name).lower()


def find(call: Call, kind: Kind, name: str, field: str = "name") -> Record:
    """What ``name`` names.

    Raises:
        ServiceError: INVALID_ARGUMENT: it is no such name; NOT_FOUND: it does not exist.
    """
    own = parse(name, field)
    if own.kind != kind.collection or (kind.invalid and not kind.ids.fullmatch(own.id)):
        raise refused([(field, kind.invalid)]) if kind.invalid else not_a_name(kind.name, field)
    record = call.site.store.find(own)
    if record is None:
        whole = call.site.store.canonical(own)
        raise ServiceError("NOT_FOUND", kind.missing.format(kind=kind.name, name=name, own=whole))
    return record


def get(call: Call, kind: Kind, request: Any) -> Any:
    """The resource that a request names."""
    with call.site.store.lock:
        return shown(find(call, kind, request.name).message, call.version)


def list_all(call: Call, kind: Kind, request: Any, field: str) -> Any:
    """A page of the resources in a location; ``field`` is the one of the answer that holds them."""
    parent = parse(request.parent, "parent")
    with call.site.store.lock:
        found = [shown(one.message, call.version) for one in call.site.store.children(parent, kind.collection)]
    chosen, token = listing.page(request, found)
    return call.answer(**{field: chosen, "next_page_token": token})


def prepared(call: Call, kind: Kind, request: Any) -> Any:
    """The resource of a create request as it is kept: without what only the service sets; name and labels checked.

    Raises:
        ServiceError: INVALID_ARGUMENT.
    """
    message = kept(getattr(request, kind.field))
    clear_output_only(message)
    problems = list(problems_of(message, kind.field))
    if problems:
        raise refused(problems)
    return message


def problems_of(message: Any, field: str) -> Sequence[tuple[str, str]]:
    """What is wrong with the display name and the labels of a resource."""
    problems = []
    fields = message.DESCRIPTOR.fields_by_name
    if "display_name" in fields and len(message.display_name) > _SHOWN_LENGTH:
        text = f"The display name must be at most {_SHOWN_LENGTH} characters long."
        problems.append((f"{field}.display_name", text))
    labels = dict(message.labels) if "labels" in fields else {}
    if len(labels) > _LABELS:
        problems.append((f"{field}.labels", f"There are {len(labels)} labels; at most {_LABELS} are allowed."))
    for key, value in labels.items():
        if not _good_label(key) or not key or not _good_label(value):
            text = (
                f"Invalid label {key!r}: {value!r}. Label keys and values can be no longer than 63 characters, and "
                "contain only lowercase letters, numeric characters, underscores and dashes; keys are not empty and "
                "start with a letter."
            )
            problems.append((f"{field}.labels", text))
    return problems


def _good_label(text: str) -> bool:
    return _LABEL.fullmatch(text) is not None and text == text.lower()


def place(call: Call, kind: Kind, parent: str, identifier: str = "") -> Name:
    """The name of a new resource: of the given id, or of a new one.

    Raises:
        ServiceError: INVALID_ARGUMENT: the id cannot be; ALREADY_EXISTS: it is taken.
    """
    where = parse(parent, "parent")
    name = where.child(kind.collection, identifier or new_id())
    if identifier and not kind.ids.fullmatch(identifier):
        raise not_a_name(kind.name, f"{kind.field}_id")
    if call.site.store.find(name) is not None:
        raise ServiceError("ALREADY_EXISTS", f"{kind.name} {name} already exists.")
    return name


def update(call: Call, kind: Kind, request: Any, check: Callable[[Record, Any], None] | None = None) -> Record:
    """Change a resource as an update request says; ``check`` looks at it and at what is to become of it.

    Raises:
        ServiceError: NOT_FOUND; INVALID_ARGUMENT: the mask or a value is wrong; FAILED_PRECONDITION: another etag.
    """
    given = kept(getattr(request, kind.field))
    with call.site.store.lock:
        record = find(call, kind, given.name, f"{kind.field}.name")
        check_etag(record, getattr(given, "etag", ""))
        change(call, kind, record, request, check)
        return record


def change(
    call: Call, kind: Kind, record: Record, request: Any, check: Callable[[Record, Any], None] | None = None
) -> None:
    """The same for a resource that was found; under the store's lock."""
    future = type(record.message)()
    future.CopyFrom(record.message)
    masks.update(future, kept(getattr(request, kind.field)), request.update_mask.paths, kind.updatable)
    if problems := problems_of(future, kind.field):
        raise refused(problems)
    if check is not None:
        check(record, future)
    record.message.CopyFrom(future)
    call.site.store.touch(record)


def check_etag(record: Record, given: str) -> None:
    """Have a request's etag, where it has one, be that of the resource. Raises ServiceError."""
    if given and given != record.message.etag:
        raise ServiceError("ABORTED", f"The etag {given!r} does not match the current one of {record.name}.")


def delete(call: Call, record: Record) -> Any:
    """Forget a resource; the operation of that, which is done."""
    site = call.site
    site.store.remove(record.name)
    where = Name(record.name.project, record.name.location, ())
    begun = site.operations.begin(call, where, "DeleteOperationMetadata")
    return site.operations.finish(begun.name)


def answered(call: Call, message: str, /, **fields: Any) -> Any:
    """A message of the call's version, such as the response of an operation."""
    return pool.of(call.version, message)(**fields)
