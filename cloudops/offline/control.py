"""The control API: what exists, the clock, faults, and the end; JSON over HTTP, with a bearer token."""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from cloudops.errors import CloudopsError

from .emulators import Broken, Emulators
from .faults import FaultKind, Rule
from .subjects import check_subject

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from .clock import Clock
    from .egress import Egress
    from .emulator import Environment
    from .faults import Faults

_PREFIX = "/cloudops/"


class Control:
    """The WSGI application.

    Args:
        token: what a client has to show.
        clock: the offline clouds' time.
        faults: what is to go wrong.
        egress: what was refused.
        about: what is known of the server itself, for ``status``.
        moved: called when the clock was moved on.
        stop: has the server end; returns at once.
    """

    def __init__(
        self,
        token: str,
        *,
        clock: Clock,
        faults: Faults,
        egress: Egress,
        about: Mapping[str, Any],
        moved: Callable[[], None],
        stop: Callable[[], None],
    ) -> None:
        self._token = token
        self._clock = clock
        self._faults = faults
        self._egress = egress
        self._about = about
        self._moved = moved
        self._stop = stop
        #: Set before the first request.
        self.emulators: Emulators
        self.environment: Environment

    def __call__(self, environ: WSGIEnvironment, start: StartResponse) -> list[bytes]:
        """Answer a request."""
        status, value = self._answer(environ)
        body = json.dumps(value).encode()
        start(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
        return [body]

    def _answer(self, environ: WSGIEnvironment) -> tuple[HTTPStatus, Any]:
        given = environ.get("HTTP_AUTHORIZATION", "")
        if not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            message = "this is the control API of cloudops' offline clouds; its token is missing or wrong"
            return HTTPStatus.UNAUTHORIZED, _error(message)
        name = f"{environ['REQUEST_METHOD']} {environ['PATH_INFO'].removeprefix(_PREFIX)}"
        action = _ACTIONS.get(name)
        if action is None:
            return HTTPStatus.NOT_FOUND, _error(f"there is no {name}", f"there are: {', '.join(_ACTIONS)}")
        try:
            return HTTPStatus.OK, action(self, _given(environ["wsgi.input"].read()))
        except CloudopsError as error:
            return HTTPStatus.BAD_REQUEST, _error(error.message, error.hint)
        except KeyError as error:
            return HTTPStatus.BAD_REQUEST, _error(f"{name} needs the member {error}")
        except (ValueError, TypeError) as error:
            return HTTPStatus.BAD_REQUEST, _error(f"{name}: {error}")

    def status(self, given: Mapping[str, Any]) -> Any:
        """The server, its time, each cloud and what exists there."""
        return {
            **self._about,
            "now": self._clock.now(),
            "ahead": self._clock.ahead,
            "clouds": [self._cloud(slot) for slot in self.emulators],
            "faults": self.rules({}),
            "egress": self._egress.hosts(),
        }

    def _cloud(self, slot: Any) -> dict[str, Any]:
        if slot.kept and slot.running is None:
            _try(slot.get)
        resources = [] if slot.running is None else [asdict(one) for one in slot.running.resources()]
        known = {"name": slot.name, "hosts": list(slot.kind.hosts), "problem": slot.problem}
        return {**known, "running": slot.running is not None, "resources": resources}

    def variables(self, given: Mapping[str, Any]) -> Any:
        """What a client's environment needs."""
        return asdict(self.environment)

    def advance(self, given: Mapping[str, Any]) -> Any:
        """Move the clock on."""
        now = self._clock.advance(float(given["seconds"]))
        self._moved()
        return {"now": now}

    def rules(self, given: Mapping[str, Any]) -> Any:
        """The faults that may still happen."""
        return [asdict(rule) for rule in self._faults.rules()]

    def add(self, given: Mapping[str, Any]) -> Any:
        """Have a fault happen."""
        known = {field.name for field in fields(Rule)} - {"id"}
        if unknown := sorted(set(given) - known):
            raise ValueError(f"a fault has no {unknown[0]!r}; it has: {', '.join(sorted(known))}")
        try:
            kind = FaultKind(given["kind"])
        except ValueError:
            raise ValueError(f"there is no fault {given['kind']!r}; there are: {', '.join(FaultKind)}") from None
        rule = Rule(**{**given, "kind": kind})
        check_subject(rule, [slot.kind for slot in self.emulators])
        return asdict(self._faults.add(rule))

    def remove(self, given: Mapping[str, Any]) -> Any:
        """Take back one fault."""
        return {"removed": self._faults.remove(int(given["id"]))}

    def clear(self, given: Mapping[str, Any]) -> Any:
        """Take back all faults, and seed their generator anew."""
        seed = given.get("seed")
        self._faults.clear(None if seed is None else int(seed))
        return {"seed": self._faults.seed}

    def reset(self, given: Mapping[str, Any]) -> Any:
        """End everything that runs and forget all state: resources, calls, faults and refusals; time goes on."""
        self._faults.clear()
        for slot in self.emulators:
            slot.reset()
        self._egress.clear()
        return {}

    def egress(self, given: Mapping[str, Any]) -> Any:
        """What was refused."""
        return {"hosts": self._egress.hosts(), "direct": self._about["direct"]}

    def calls(self, given: Mapping[str, Any]) -> Any:
        """The requests to each cloud so far."""
        return [{"cloud": slot.name, **call} for slot, running in self.emulators.running() for call in running.calls()]

    def stop(self, given: Mapping[str, Any]) -> Any:
        """End the server."""
        self._stop()
        return {}


_ACTIONS: Mapping[str, Callable[[Control, Mapping[str, Any]], Any]] = {
    "GET status": Control.status,
    "GET environment": Control.variables,
    "GET egress": Control.egress,
    "GET calls": Control.calls,
    "GET faults": Control.rules,
    "POST faults": Control.add,
    "POST faults/remove": Control.remove,
    "POST faults/clear": Control.clear,
    "POST advance": Control.advance,
    "POST reset": Control.reset,
    "POST stop": Control.stop,
}


def _try(get: Callable[[], object]) -> None:
    """Have a cloud run whose state was kept; why it cannot is then its ``problem``."""
    try:
        get()
    except Broken:
        return


def _given(body: bytes) -> Mapping[str, Any]:
    """The members of a request. Raises ValueError where it is no JSON object."""
    value = json.loads(body or b"{}")
    if not isinstance(value, dict):
        raise ValueError(f"expected a JSON object, got {value!r:.40}")
    return value


def _error(message: str, hint: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "hint": hint}}
