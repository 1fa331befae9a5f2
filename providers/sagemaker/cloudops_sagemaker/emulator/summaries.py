"""The answers of List operations whose records have ``CreationTime`` and ``LastModifiedTime``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .listing import page

if TYPE_CHECKING:
    from .region import Record


def listed(
    records: Sequence[Record],
    params: Mapping[str, Any],
    *,
    answer: str,
    summary: Callable[[Record], dict[str, Any]],
    status: str = "Status",
) -> dict[str, Any]:
    """The answer of a List operation.

    Args:
        records: all of the kind.
        params: of the operation.
        answer: the member that holds the summaries.
        summary: one of them.
        status: the member of a record's description that is its status.
    """
    members = {"CreationTime": "CreationTime", "LastModifiedTime": "LastModifiedTime", "Status": status}
    found, token = page(records, params, members=members)
    shown: dict[str, Any] = {answer: [summary(one) for one in found]}
    return shown | ({"NextToken": token} if token else {})
