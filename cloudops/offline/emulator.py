"""What an emulator of a cloud is: hosts, throw-away credentials, and a WSGI application that answers for them.

The application answers over HTTP/1.1 and HTTP/2 alike. A request over HTTP/2 (``SERVER_PROTOCOL`` is ``HTTP/2``), which
is what gRPC needs, has these:

- ``environ["cloudops.trailers"]``, there for these requests alone, takes a list of (name, value) that the client gets
  after the body, such as ``grpc-status``. It is called once at most, after ``start_response`` and before the iterable
  ends. Names are in lower case and values in ASCII, ``grpc-message`` with percent signs as gRPC has it. An answer of
  headers alone, which gRPC takes for trailers, is one without this call and without a piece.
- ``wsgi.input`` can be read while pieces of the answer are sent. It waits for as many bytes as it is asked for, ends
  where the body does, and raises ConnectionError where the client has given up the call.
- Where the client gives up (a deadline, a cancellation), the iterable is closed at its next piece. One that waits for
  something yields an empty piece now and then: nothing is sent, and it is closed if nobody waits with it.

An answer that is a list of one piece goes out with its headers and trailers in one write.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from .clock import Clock
    from .faults import FaultKind, Faults


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What an emulator is created with.

    Args:
        folder: its own; job folders live in it. It is emptied before a start unless ``keep``.
        clock: what state transitions, timeouts and bakes are timed by.
        faults: what has to go wrong; those of the connection are the proxy's, all others the emulator's.
        network: the variables with which a process inside the emulated cloud reaches it: proxy and CA, no credentials.
        images: pattern of a container image (as in ``fnmatch``) to the Python interpreter that stands for it, over the
            emulator's own table.
        keep: whether state is to be kept in ``folder`` for the next start (``--data DIR``).
    """

    folder: Path
    clock: Clock
    faults: Faults
    network: Mapping[str, str]
    images: Mapping[str, str] = field(default_factory=dict)
    keep: bool = False


@dataclass(frozen=True, slots=True)
class Environment:
    """What a client's environment needs so that its own credential chain ends at throw-away credentials.

    Args:
        variables: to be set.
        unset: to be removed, such as the name of a real profile; patterns as in ``fnmatch``.
        kept: names that mean the same, such as those of the region, with a value: all of them get what the first of
            them has that the client has set, else the value.
    """

    variables: Mapping[str, str]
    unset: Sequence[str] = ()
    kept: Sequence[tuple[Sequence[str], str]] = ()


@dataclass(frozen=True, slots=True)
class Resource:
    """Something that exists in an emulated cloud; a line of ``cloudops offline status``.

    Args:
        kind: as the service calls it, such as ``training-job``.
        name: within the kind.
        state: the service's own word.
        created: seconds since the epoch, by the offline clock.
        place: where in the cloud, such as the region.
    """

    kind: str
    name: str
    state: str
    created: float | None = None
    place: str = ""


class Emulator(ABC):
    """A cloud on this machine. A provider names its class in ``ProviderInfo.emulator``.

    Its module is imported to learn :attr:`hosts` and must therefore be cheap; it is created on the first request to
    one of them. Every method may be called from several threads at once.
    """

    #: The provider's name.
    name: ClassVar[str]
    #: Host names that it answers for, patterns as in ``fnmatch``.
    hosts: ClassVar[tuple[str, ...]]

    @classmethod
    @abstractmethod
    def environment(cls, folder: Path) -> Environment:
        """What clients need; files that it names (an empty configuration, say) are written to ``folder``.

        It is called in the server, whose own variables say nothing of any client.
        """

    @classmethod
    def subjects(cls, kind: FaultKind, service: str) -> Collection[str] | None:
        """What a fault of ``kind`` can happen to here, as :attr:`cloudops.offline.faults.Rule.on` has it.

        Args:
            kind: of the fault.
            service: a pattern over the services that are asked about: the part of ``on`` before the colon.

        Returns:
            Names of calls or things; None where that cannot be told, and any pattern is taken.
        """
        return None

    @abstractmethod
    def __init__(self, surroundings: Surroundings) -> None:
        """Start; what ``surroundings.folder`` kept from an earlier start is there again."""

    @property
    @abstractmethod
    def application(self) -> WSGIApplication:
        """Answers requests; ``HTTP_HOST`` is the real host name, ``wsgi.url_scheme`` is https behind TLS.

        What a client that speaks gRPC gets is in the docstring of the module.
        """

    @abstractmethod
    def operation(self, environ: WSGIEnvironment) -> tuple[str, str]:
        """``service:Operation`` and the name of the resource that a request is about, as far as they can be told.

        It reads no more of the body than it puts back.
        """

    @abstractmethod
    def refuse(self, kind: FaultKind, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer with the service's own error for a fault of :data:`cloudops.offline.faults.ANSWERS`."""

    @abstractmethod
    def resources(self) -> list[Resource]:
        """What exists, running things first."""

    @abstractmethod
    def calls(self) -> list[Mapping[str, Any]]:
        """The requests so far: ``operation``, ``resource``, ``principal`` (``caller`` or a job's role), ``status``, and
        ``time`` (epoch seconds, of this machine) at which each came."""

    @abstractmethod
    def reset(self) -> None:
        """End everything that runs and forget all state."""

    @abstractmethod
    def close(self) -> None:
        """End everything that runs; with ``keep`` write down what the next start needs."""
