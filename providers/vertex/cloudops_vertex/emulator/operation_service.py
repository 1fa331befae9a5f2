"""google.longrunning.Operations."""

from __future__ import annotations

from typing import Any

from .methods import Call, implements
from .names import parse
from .protocol import pool
from .protocol.errors import ServiceError

#: The longest that WaitOperation waits, in real seconds.
_PATIENCE = 30.0


def _own(call: Call, name: str) -> str:
    return str(call.site.store.canonical(parse(name)))


@implements("Operations.GetOperation")
def get(call: Call, request: Any) -> Any:
    """An operation as it is now."""
    found = call.site.operations.find(_own(call, request.name))
    if found is None:
        raise ServiceError("NOT_FOUND", f"Operation {request.name} is not found.")
    return found


@implements("Operations.WaitOperation")
def wait(call: Call, request: Any) -> Any:
    """An operation once it is done, or when the time is over."""
    get(call, request)
    asked = request.timeout.ToTimedelta().total_seconds() if request.HasField("timeout") else _PATIENCE
    return call.site.operations.wait(_own(call, request.name), min(asked, _PATIENCE))


@implements("Operations.ListOperations")
def list_operations(call: Call, request: Any) -> Any:
    """Those of a resource, or of a location."""
    from .listing import page

    parent = str(call.site.store.canonical(parse(request.name)))
    found, token = page(request, call.site.operations.inside(f"{parent}/operations/"))
    return call.answer(operations=found, next_page_token=token)


@implements("Operations.DeleteOperation")
def delete(call: Call, request: Any) -> Any:
    """Forget an operation that is done."""
    if not get(call, request).done:
        raise ServiceError("FAILED_PRECONDITION", f"Operation {request.name} is not done.")
    call.site.operations.remove(_own(call, request.name))
    return pool.message("google.protobuf.Empty")()


@implements("Operations.CancelOperation")
def cancel(call: Call, request: Any) -> Any:
    """Offline no operation can be cancelled; as with the service, asking for it does no harm."""
    get(call, request)
    return pool.message("google.protobuf.Empty")()
