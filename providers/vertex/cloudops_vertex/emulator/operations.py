"""Long-running operations: what is done once they are through, or why they failed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from google.protobuf import any_pb2

from .names import Name, new_id
from .protocol import pool
from .protocol.errors import CODES, ServiceError
from .store import stamp

if TYPE_CHECKING:
    from .methods import Call


class Operations:
    """The operations so far, in the order in which they began.

    Args:
        now: the offline clock's time.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._changed = threading.Condition()
        self._operations: dict[str, Any] = {}

    def begin(self, call: Call, where: Name, metadata: str, **fields: Any) -> Any:
        """A new operation about ``where``, which is returned as it is now.

        Args:
            call: that it is of; its version is that of the messages.
            where: a resource, or a location.
            metadata: the message, such as ``CreateEndpointOperationMetadata``.
            fields: of the metadata, besides the times.
        """
        told = pool.of(call.version, metadata)(**fields)
        made: Any = pool.message("google.longrunning.Operation")()
        made.name = str(call.site.store.canonical(where).child("operations", new_id()))
        generic: Any = getattr(told, "generic_metadata")  # noqa: B009 - a message has no types
        for name in ("create_time", "update_time"):
            stamp(getattr(generic, name), self._now())
        _pack(made.metadata, told)
        with self._changed:
            self._operations[made.name] = made
            return _copy(made)

    def finish(self, name: str, response: Any | None = None) -> Any:
        """Have an operation be done, with ``response`` or an empty one; returned as it is then."""
        with self._changed:
            made = self._operations[name]
            if response is None:
                response = pool.message("google.protobuf.Empty")()
            _pack(made.response, response)
            return self._end(made)

    def fail(self, name: str, error: ServiceError) -> Any:
        """Have an operation fail."""
        with self._changed:
            made = self._operations[name]
            made.error.code, made.error.message = CODES[error.code][1], error.message
            return self._end(made)

    def find(self, name: str) -> Any | None:
        """An operation as it is now, or None."""
        with self._changed:
            made = self._operations.get(name)
            return None if made is None else _copy(made)

    def inside(self, prefix: str) -> list[Any]:
        """Those whose names begin with ``prefix``, newest first."""
        with self._changed:
            return [_copy(made) for name, made in reversed(self._operations.items()) if name.startswith(prefix)]

    def wait(self, name: str, seconds: float) -> Any | None:
        """An operation once it is done, or after so much real time."""
        with self._changed:
            self._changed.wait_for(lambda: name not in self._operations or self._operations[name].done, seconds)
            return self.find(name)

    def remove(self, name: str) -> None:
        """Forget an operation."""
        with self._changed:
            self._operations.pop(name, None)

    def clear(self) -> None:
        """Forget them all."""
        with self._changed:
            self._operations.clear()

    def _end(self, made: Any) -> Any:
        made.done = True
        told: Any = pool.message(made.metadata.TypeName())()
        made.metadata.Unpack(told)
        stamp(told.generic_metadata.update_time, self._now())
        _pack(made.metadata, told)
        self._changed.notify_all()
        return _copy(made)


def _pack(target: any_pb2.Any, message: Any) -> None:
    target.type_url = f"type.googleapis.com/{message.DESCRIPTOR.full_name}"
    target.value = message.SerializeToString()


def _copy(message: Any) -> Any:
    made = type(message)()
    made.CopyFrom(message)
    return made
