"""One request to a deployed model's server: a replica is found and asked, and another one where it has vanished."""

from __future__ import annotations

import contextlib
import http.client
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from cloudops.offline.machines.fleets import NoInstance
from cloudops.offline.machines.replicas import Unreachable

from .protocol.errors import ServiceError

if TYPE_CHECKING:
    from cloudops.offline.machines.fleets import Fleet

#: Seconds that a model may take to answer, where its endpoint says nothing.
TIMEOUT = 600.0
#: Real seconds that a request waits for a replica that is being replaced.
_PATIENCE = 10.0
_ATTEMPTS = 3


@contextlib.contextmanager
def exchange(
    fleet: Fleet, route: str, body: bytes, headers: Mapping[str, str], timeout: float
) -> Iterator[http.client.HTTPResponse]:
    """Send ``body`` to ``route`` of a replica; the answer's body is still to be read.

    Raises:
        ServiceError: there is no replica that could answer, or it did not do so in ``timeout`` seconds.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        with contextlib.ExitStack() as stack:
            if not fleet.wait_for_room(_PATIENCE):
                raise ServiceError("UNAVAILABLE", "No replica of the deployed model is ready at present.")
            try:
                replica = stack.enter_context(fleet.instance())
                answer = stack.enter_context(replica.exchange("POST", route, body, dict(headers), timeout))
            except NoInstance:  # it has gone in this moment
                continue
            except Unreachable:
                replica.doubt()
                if attempt == _ATTEMPTS:
                    raise ServiceError("UNAVAILABLE", "The model server hung up before it answered.") from None
                continue
            except TimeoutError:
                text = f"The model server has not answered in {timeout:g} s."
                raise ServiceError("DEADLINE_EXCEEDED", text) from None
            yield answer
            return
    raise ServiceError("UNAVAILABLE", "No replica of the deployed model is ready at present.")
