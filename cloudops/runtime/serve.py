"""A serving process from start to end: listens, loads the model behind that, drains on SIGTERM.

========  =======================================================================================================
exit 0    drained after SIGTERM or SIGINT
exit 2    a setting is wrong, or the port is taken
exit 3    the model could not be loaded
========  =======================================================================================================

Shutting down: health checks fail from the first moment, so that load balancers send no more, while requests that
still arrive are answered, each with ``Connection: close``. The process ends once nothing is in flight and nothing
has come for a second, or when the grace is over.
"""

from __future__ import annotations

import errno
import json
import os
import queue
import signal
import socket
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from . import predictor, settings
from .app import App
from .errors import Problem, shown
from .reports import report
from .settings import Settings

_QUIET = 1.0  # seconds without a request after which nobody is assumed to send more
_LOAD_FAILED = 3


class Server(Protocol):
    """Carries HTTP. ``run`` blocks until ``stop`` is called from another thread."""

    name: str

    def run(self) -> None:
        """Serve until stopped."""

    def stop(self, *, force: bool) -> None:
        """Close the listener and all connections, with ``force`` those in use too."""


def serve(environ: Mapping[str, str]) -> int:
    """Serve as ``environ`` says (:mod:`cloudops.runtime.settings`) until a signal ends it; returns the exit code.

    Raises:
        Problem: a setting is wrong or the port is taken.
    """
    return _Service(settings.read(environ)).run()


class _Service:
    def __init__(self, given: Settings) -> None:
        self._settings = given
        self._app = App(given)
        self._listener = _listen(given.host, given.port)
        self._server = _server(self._app, self._listener)
        self._events: queue.SimpleQueue[int] = queue.SimpleQueue()  # its put() may be called in a signal handler
        self._code = 0
        self._forced = False

    def run(self) -> int:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self._events.put(0))
        self._announce()
        for work in (self._load, self._control):
            threading.Thread(target=work, name=work.__name__, daemon=True).start()
        self._server.run()
        if self._forced:  # a model that hangs in a thread must not keep the process
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self._code)
        return self._code

    def _announce(self) -> None:
        host, port = self._listener.getsockname()[:2]
        name, version = self._settings.name, self._settings.version
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        print(f"[cloudops] {name} version {version} listens on http://{address} ({self._server.name})", flush=True)
        if self._settings.ready_file is not None:
            _write_ready(self._settings.ready_file, {"port": port, "pid": os.getpid()})

    def _load(self) -> None:
        started = time.monotonic()
        try:
            model = predictor.load(self._settings.predictor, self._settings.model_dir)
        except BaseException as error:  # SystemExit from a predictor's import too
            if not isinstance(error, Problem):
                traceback.print_exc(file=sys.stderr)
            reason = str(error) if isinstance(error, Problem) else shown(error)
            report(f"the model could not be loaded: {reason}")
            self._events.put(_LOAD_FAILED)
            return
        self._app.loaded(model)
        print(f"[cloudops] the {model.framework} model is loaded ({time.monotonic() - started:.1f} s)", flush=True)

    def _control(self) -> None:
        """Wait for the end: a signal, or a model that could not be loaded."""
        self._code = self._events.get()
        if not self._code:
            self._drain()
        self._forced = bool(self._code or self._app.lifecycle.in_flight)
        self._server.stop(force=self._forced)

    def _drain(self) -> None:
        self._app.lifecycle.drain()
        grace = self._settings.shutdown_grace
        deadline = time.monotonic() + grace
        while time.monotonic() < deadline and not self._app.lifecycle.drained(min(_QUIET, grace)):
            if not self._events.empty():  # a second signal: now
                return
            time.sleep(0.02)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Problem(f"port {port} of {host} is taken; set CLOUDOPS_PORT to another, or to 0 for any") from error
        raise Problem(f"cannot listen on {host}, port {port}: {error.strerror or error}") from error


def _server(app: App, listener: socket.socket) -> Server:
    if app.settings.server == "auto":
        try:
            from .server_asgi import AsgiServer

            return AsgiServer(app, listener)
        except ModuleNotFoundError as error:
            if error.name != "uvicorn":
                raise
    from .server_std import StdServer

    return StdServer(app, listener)


def _write_ready(path: Path, value: Mapping[str, Any]) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(value), encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise Problem(f"CLOUDOPS_READY_FILE {path} cannot be written: {error.strerror}") from error
