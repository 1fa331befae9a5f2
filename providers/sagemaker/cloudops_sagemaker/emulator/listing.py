"""List operations: filters, order and pages, in that sequence, as all of SageMaker's have them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .operations import invalid

if TYPE_CHECKING:
    from .region import Record

_PAGE = 10


def page(
    records: Sequence[Record],
    params: Mapping[str, Any],
    *,
    members: Mapping[str, str],
    size: int = _PAGE,
) -> tuple[list[Record], str | None]:
    """The records that a List operation answers, and the token for the next page.

    Args:
        records: all of the kind.
        params: of the operation: NameContains, StatusEquals, CreationTimeAfter, ..., SortBy, SortOrder, MaxResults,
            NextToken.
        members: which member of a record's description answers ``CreationTime``, ``LastModifiedTime`` and ``Status``.
        size: of a page where MaxResults is not given.

    Raises:
        ServiceError: the token is none of ours.
    """
    found = [one for one in records if _wanted(one, params, members)]
    by = params.get("SortBy", "CreationTime")
    found.sort(key=lambda one: one.name)
    if by != "Name":
        found.sort(key=lambda one: one.described.get(members.get(by, by), 0))
    if params.get("SortOrder", "Ascending" if by == "Name" else "Descending") == "Descending":
        found.reverse()
    begin = _begin(found, params.get("NextToken"))
    count = params.get("MaxResults", size)
    chosen = found[begin : begin + count]
    return chosen, _token(begin + count, chosen[-1].name) if begin + count < len(found) else None


def _wanted(record: Record, params: Mapping[str, Any], members: Mapping[str, str]) -> bool:
    if params.get("NameContains", "").lower() not in record.name.lower():
        return False
    if "StatusEquals" in params and record.described.get(members["Status"]) != params["StatusEquals"]:
        return False
    for name in ("CreationTime", "LastModifiedTime"):
        moment = record.described.get(members[name], record.created)
        after, before = params.get(f"{name}After"), params.get(f"{name}Before")
        if (after is not None and moment <= float(after)) or (before is not None and moment >= float(before)):
            return False
    return True


def _token(place: int, last: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([place, last]).encode()).decode()


def _begin(found: Sequence[Record], token: str | None) -> int:
    """Where a page begins: behind the last record of the page before, wherever that is by now."""
    if token is None:
        return 0
    try:
        place, last = json.loads(base64.urlsafe_b64decode(token))
    except ValueError:
        raise invalid("Invalid pagination token") from None
    return next((index + 1 for index, one in enumerate(found) if one.name == last), int(place))
