"""The router as the supervisor's child: started with the listening socket, adopted, replaced when dead or silent."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

from .process import ProcessId, end_group
from .service_control import Link
from .service_find import ROUTER, find
from .service_paths import Paths
from .service_secrets import Secrets

#: A router that reports nothing for this long hangs; it reports four times a second.
_SILENCE = 10.0
_LOG_LIMIT = 1 << 20
_MANY_STARTS = 3


class Gate:
    """Keeps one router running behind ``listener``, whose queue holds new connections while there is none.

    The router holds the supervisor's socket ``control`` too, for the next supervisor.
    """

    def __init__(
        self, paths: Paths, life: str, listener: socket.socket, control: socket.socket, secrets: Secrets, link: Link
    ) -> None:
        self.life = life
        self.paths, self.listener, self.control, self.secrets, self.link = paths, listener, control, secrets, link
        self.process: ProcessId | None = None
        self._child: subprocess.Popen[bytes] | None = None
        self._starts: list[float] = []

    def adopt(self) -> None:
        """Take over the router that runs; it connects to us by itself. One of an endpoint before us is ended."""
        for one in find(self.paths.root, [ROUTER]):
            if one.life == self.life:
                self.process = one.process
            else:
                end_group(one.process, grace=0)
        self.link.heard = time.monotonic()

    def step(self) -> None:
        """Start a router where none runs; a hanging one is killed first."""
        if self.alive() and time.monotonic() - self.link.heard > _SILENCE:
            self.kill()
        if not self.alive() and self._may_start():
            self._start()

    def alive(self) -> bool:
        """Whether a router runs."""
        if self._child is not None:
            return self._child.poll() is None
        return self.process is not None and self.process.alive()

    def trouble(self) -> str:
        """One line where routers keep ending before they can serve, or ""."""
        if self.link.connected or len(self._starts) < _MANY_STARTS:
            return ""
        return f"the router does not start; see {self.paths.router_log}"

    def stop(self) -> None:
        """Ask it to end after its open requests."""
        if self.process is not None:
            self.process.send(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, with its open requests."""
        end_group(self.process, grace=0)
        if self._child is not None:
            self._child.wait()

    def close(self) -> None:
        """Give up the listening socket: once the router ends, the port is free."""
        self.listener.close()

    def _may_start(self) -> bool:
        """At once, unless routers keep dying: then once every second."""
        now = time.monotonic()
        self._starts = [start for start in self._starts if now - start < 10]
        return len(self._starts) < _MANY_STARTS or now - self._starts[-1] > 1

    def _start(self) -> None:
        self._starts.append(time.monotonic())
        inherited = (self.listener.fileno(), self.control.fileno())
        with self.paths.router_log.open("ab") as sink:
            if sink.tell() > _LOG_LIMIT:
                sink.truncate(0)
            self._child = subprocess.Popen(
                [sys.executable, "-P", "-m", ROUTER, str(self.paths.root), self.life, *map(str, inherited)],
                env={**os.environ, **self.secrets.variable()},
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                start_new_session=True,
                pass_fds=inherited,
            )
        self.process = ProcessId.of(self._child.pid)
        self.link.heard = time.monotonic()
