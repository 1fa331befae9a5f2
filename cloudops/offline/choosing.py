"""Who answers a request: the emulator of its host, unless a fault is in the way; the same for each version of HTTP."""

from __future__ import annotations

import socket
import struct
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from . import exchange
from .emulators import Broken
from .faults import ANSWERS, CONNECTION, FaultKind

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication, WSGIEnvironment

    from .emulator import Emulator
    from .faults import Rule
    from .proxy import Proxy

#: Nobody who asks for a host that is refused learns less than this.
REFUSAL = (
    "cloudops offline: {host} is refused: no offline cloud answers for it, and nothing leaves this machine; "
    "`cloudops offline status` lists what was refused"
)
DEFAULT_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Chosen:
    """Who answers.

    Args:
        application: that does.
        name: of its cloud.
        breaks: the rule by which the connection breaks, so that nobody gets an answer.
    """

    application: WSGIApplication
    name: str = "control"
    breaks: Rule | None = None


def authority(scheme: str, host: str, port: int) -> str:
    """``host``, and the port where it is not that of the scheme."""
    return host if port == DEFAULT_PORTS.get(scheme) else f"{host}:{port}"


def choose(proxy: Proxy, host: str, port: int, environ: WSGIEnvironment) -> Chosen:
    """Find out who answers a request; a fault that is to happen to it is used up.

    Args:
        proxy: knows the emulators and the faults.
        host: that the client asks for.
        port: of the host.
        environ: the request.
    """
    slot = proxy.emulators.find(host)
    if slot is None:
        proxy.egress.add(host, port)
        return Chosen(exchange.plain(HTTPStatus.FORBIDDEN, REFUSAL.format(host=host)))
    try:
        emulator = slot.get()
    except Broken as error:
        traceback.print_exception(error)
        return Chosen(exchange.plain(HTTPStatus.BAD_GATEWAY, f"cloudops offline: {error}"), slot.name)
    rule = _fault(proxy, emulator, environ)
    if rule is not None and rule.kind in ANSWERS:
        kind = rule.kind
        return Chosen(lambda asked, start: emulator.refuse(kind, asked, start), slot.name)
    return Chosen(emulator.application, slot.name, rule)


def suffer(proxy: Proxy, chosen: Chosen, environ: WSGIEnvironment, gone: Callable[[], bool]) -> None:
    """Do what comes before the connection breaks: wait, have the service act, or nothing.

    Args:
        proxy: has the clock.
        chosen: with a rule in ``breaks``.
        environ: the request.
        gone: whether the client waits no more.
    """
    rule = chosen.breaks
    if rule is not None and rule.kind is FaultKind.TIMEOUT:
        proxy.clock.wait(rule.lasts, gone)
    elif rule is not None and rule.kind is FaultKind.DROPPED_AFTER:
        exchange.swallow(chosen.application, environ)


def break_at_close(connection: socket.socket) -> None:
    """Have ``connection`` end like that of a machine that fails, not politely, once it is closed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _fault(proxy: Proxy, emulator: Emulator, environ: WSGIEnvironment) -> Rule | None:
    if not proxy.faults.rules():
        return None
    operation, resource = emulator.operation(environ)
    return proxy.faults.take(CONNECTION | ANSWERS, operation, resource)
