"""One request to a variant's container: an instance is found and asked, and another one where it has vanished."""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudops.offline.machines.fleets import Fleet, FleetFailed, NoInstance, Throttled
from cloudops.offline.machines.replicas import Unreachable

from .operations import ServiceError

if TYPE_CHECKING:
    from cloudops.offline.machines.replicas import Replica

#: Seconds that a model may take to answer, as the service has it.
MODEL_TIMEOUT = 60.0
#: Real seconds that a request waits for an instance that is being replaced.
_PATIENCE = 10.0
#: The same for one that is started for it (serverless).
_COLD_START = 180.0
_ATTEMPTS = 3


class TimedOut(Exception):
    """The model did not answer in time."""


@dataclass
class Exchange:
    """An open answer of a container: its body is still to be read.

    Args:
        answer: of the container.
        replica: that gave it.
        waited: seconds until there was an instance.
        cold: seconds that the start of an instance for this request took; 0 where none was started.
        begun: when the container was asked, by :func:`time.monotonic`.
    """

    answer: http.client.HTTPResponse
    replica: Replica
    waited: float
    cold: float
    begun: float


@contextlib.contextmanager
def exchange(
    fleet: Fleet, body: bytes, headers: Mapping[str, str], *, timeout: float, limit: int | None = None
) -> Iterator[Exchange]:
    """Send ``body`` to ``/invocations`` of an instance; ``limit``: start up to so many on demand (serverless).

    Raises:
        ServiceError: there is no instance that could answer.
        TimedOut: the model did not answer in ``timeout`` seconds.
        Unreachable: the instances have vanished, one after the other.
    """
    begun = time.monotonic()
    for attempt in range(1, _ATTEMPTS + 1):
        with _instance(fleet, limit) as (replica, cold):
            asked = time.monotonic()
            opened = replica.exchange("POST", "/invocations", body, dict(headers), timeout)
            try:
                answer = opened.__enter__()
            except Unreachable:
                replica.doubt()
                if attempt == _ATTEMPTS:
                    raise
                continue
            except TimeoutError as error:
                raise TimedOut from error
            with _closing(opened):
                yield Exchange(answer, replica, asked - begun, cold, asked)
            return


@contextlib.contextmanager
def _closing(opened: contextlib.AbstractContextManager[object]) -> Iterator[None]:
    """End ``opened``, which was entered, after the block."""
    try:
        yield
    except TimeoutError as error:
        opened.__exit__(type(error), error, error.__traceback__)
        raise TimedOut from error
    except BaseException as error:
        opened.__exit__(type(error), error, error.__traceback__)
        raise
    opened.__exit__(None, None, None)


@contextlib.contextmanager
def _instance(fleet: Fleet, limit: int | None) -> Iterator[tuple[Replica, float]]:
    with contextlib.ExitStack() as stack:
        replica, cold = _found(fleet, limit, stack)
        yield replica, cold


def _found(fleet: Fleet, limit: int | None, stack: contextlib.ExitStack) -> tuple[Replica, float]:
    begun, started = time.monotonic(), False
    try:
        while True:
            if limit is not None:
                started = fleet.on_demand(limit, _COLD_START) or started
            elif not fleet.wait_for_room(_PATIENCE):
                raise NoInstance
            with contextlib.suppress(NoInstance):  # another request was quicker
                return stack.enter_context(fleet.instance()), time.monotonic() - begun if started else 0.0
    except Throttled:
        raise ServiceError("ThrottlingException", "Rate exceeded", 429) from None
    except FleetFailed:
        text = "The model could not be made ready to serve the request; see the logs of this endpoint."
        raise ServiceError("ModelNotReadyException", text, 429) from None
    except NoInstance:
        raise ServiceError("ServiceUnavailable", "No instance of the endpoint is healthy at present.", 503) from None
