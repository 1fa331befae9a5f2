"""Pages of lists: filter, order, size and token."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from typing import Any

from .list_filter import list_filter
from .protocol.errors import refused

_DEFAULT, _LARGEST = 100, 1000


def page(request: Any, messages: Iterable[Any]) -> tuple[list[Any], str]:
    """The messages that a list request asks for, and the token of the next page.

    Args:
        request: with ``filter``, ``order_by``, ``page_size`` and ``page_token``, as far as its method has them.
        messages: in the order that the service gives without ``order_by``.

    Raises:
        ServiceError: INVALID_ARGUMENT: filter, order, size or token cannot be read.
    """
    given = request.DESCRIPTOR.fields_by_name
    test = list_filter(request.filter if "filter" in given else "")
    found = ordered([one for one in messages if test(one)], request.order_by if "order_by" in given else "")
    if request.page_size < 0:
        raise refused([("page_size", "Page size must not be negative.")])
    size = min(request.page_size or _DEFAULT, _LARGEST)
    start = _start(request.page_token)
    token = _token(start + size) if start + size < len(found) else ""
    return found[start : start + size], token


def ordered(messages: Sequence[Any], order: str) -> list[Any]:
    """Messages in the order of ``create_time desc, display_name``.

    Raises:
        ServiceError: INVALID_ARGUMENT: a field is unknown.
    """
    found = list(messages)
    for part in reversed([part.split() for part in order.split(",") if part.strip()]):
        if len(part) > 2 or (len(part) == 2 and part[1].lower() not in ("asc", "desc")):
            raise refused([("order_by", f"Invalid order by {order!r}.")])
        found.sort(key=lambda one, name=part[0]: _key(one, name), reverse=part[-1].lower() == "desc")  # type: ignore[misc]
    return found


def _key(message: Any, name: str) -> Any:
    field = next((one for one in message.DESCRIPTOR.fields if name in (one.name, one.json_name)), None)
    if field is None or field.is_repeated:
        raise refused([("order_by", f"Ordering by {name!r} is not supported.")])
    value = getattr(message, field.name)
    if field.message_type is None:
        return value
    if field.message_type.full_name != "google.protobuf.Timestamp":
        raise refused([("order_by", f"Ordering by {name!r} is not supported.")])
    return value.ToNanoseconds()


def _token(start: int) -> str:
    return base64.urlsafe_b64encode(json.dumps(start).encode()).decode()


def _start(token: str) -> int:
    if not token:
        return 0
    try:
        return int(json.loads(base64.urlsafe_b64decode(token)))
    except (ValueError, TypeError):
        raise refused([("page_token", "Invalid page token.")]) from None
