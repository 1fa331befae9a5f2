"""Starting an endpoint's supervisor, handing secrets to a running one, and ending what is left of an endpoint."""

from __future__ import annotations

import errno
import os
import select
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

from . import service_key
from .files import locked, read_json, write_json
from .process import spawn_detached
from .service_control import ask, listen
from .service_desired import same_port
from .service_find import SUPERVISOR, sweep
from .service_paths import Paths
from .service_secrets import Secrets
from .service_types import Desired, ServiceState

_BACKLOG = 1024
_HANDSHAKE = 30.0
_POLL = 0.05
#: Seconds that replicas get when an endpoint is swept.
_GRACE = 5.0


@dataclass(frozen=True)
class Change:
    """The secret part of a client's call; ``token`` None leaves the endpoint's as it is."""

    version: str = ""
    token: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.token is not None or bool(self.values)


def check_port(paths: Paths, port: int | None) -> None:
    """Whether a deployment could have ``port`` (None and 0 always can): looked up, nothing is kept.

    Raises:
        ServiceConflict: the endpoint has another one.
        OSError: another program has it.
    """
    if port:
        same_port(paths.known(), port)
        if not paths.running():
            bind(port).close()


def bind(port: int) -> socket.socket:
    """A listening socket on 127.0.0.1; port 0 takes a free one.

    Raises:
        OSError: the port is in use or not allowed; the message names it.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise OSError(
                errno.EADDRINUSE, f"port {port} on 127.0.0.1 is in use by another program; ask for another port"
            ) from error
        raise OSError(error.errno, f"cannot listen on port {port} of 127.0.0.1: {error.strerror}") from error
    return listener


def settle(paths: Paths) -> bool:
    """Whether the endpoint runs; waits for one that is coming to its end. To be called under the client lock.

    Where it does not run, what others left running in its directory is ended: their files were removed, so nobody
    could address them any more.

    Raises:
        TimeoutError: it does not come to its end.
        ValueError: its files are damaged.
    """
    if _running(paths):
        return True
    desired = paths.known()
    life = None if desired is None or desired.deleted else desired.life
    sweep(paths.root, grace=_GRACE, which=lambda one: one.life != life)
    return False


def _running(paths: Paths) -> bool:
    deadline = time.monotonic() + 90
    while paths.running():
        if not _ending(paths):
            return True
        if time.monotonic() > deadline:
            raise TimeoutError(f"the endpoint in {paths.root} does not end; see its supervisor.log")
        time.sleep(_POLL)
    return False


def apply(paths: Paths, desired: Desired, change: Change, *, running: bool) -> int:
    """Make ``desired`` known, by a new supervisor where none runs; under the client lock. Returns its generation.

    Raises:
        OSError: the port is in use or the supervisor cannot be started; ``desired.json`` is then as before.
        ValueError: secrets are missing.
        TimeoutError: the running supervisor does not take the secrets.
    """
    if running:
        if change:
            ask(paths, asdict(change))
        paths.write_desired(desired)
        return desired.generation
    secrets = _secrets(desired, change)
    secrets.key = service_key.choose(paths, desired.life, grace=_GRACE)
    with bind(desired.port) as listener:
        desired = replace(desired, port=listener.getsockname()[1])
        before = paths.known()
        paths.write_desired(desired)
        try:
            _launch(paths, desired.life, listener, secrets)
        except BaseException:
            if before is None:
                paths.desired.unlink()
            else:
                paths.write_desired(before)
            raise
    return desired.generation


def end(paths: Paths, patience: float) -> None:
    """Wait until a deleted endpoint has ended, kill what is left of it after ``patience`` seconds, and note that."""
    deadline = time.monotonic() + patience
    while paths.running() and _deleted(paths) and time.monotonic() < deadline:
        time.sleep(_POLL)
    with locked(paths.client_lock):
        desired = paths.read_desired()
        if desired is not None and not desired.deleted:
            return  # deployed again in the meantime
        sweep(paths.root, grace=_GRACE)
        if desired is None:
            return
        observed = read_json(paths.observed)
        if observed is None or observed["phase"] != "deleted":
            url = f"http://127.0.0.1:{desired.port}"
            state = ServiceState("deleted", "", url, desired.port, desired.generation, desired.generation)
            write_json(paths.observed, {**(observed or {}), **asdict(state)})


def abolish(paths: Paths) -> None:
    """End an endpoint without writing anything: it is then as if it had never been. Under the client lock.

    Raises:
        OSError: not even its file can be removed (a file system that is read-only).
    """
    paths.desired.unlink(missing_ok=True)
    sweep(paths.root, grace=_GRACE)


def supervisor_command(paths: Paths, life: str, listener: int, control: int, ready: int) -> list[str]:
    """How a supervisor is started; ``ready`` is the descriptor that it reports to, -1 for none."""
    return [sys.executable, "-P", "-m", SUPERVISOR, str(paths.root), life, str(listener), str(control), str(ready)]


def _launch(paths: Paths, life: str, listener: socket.socket, secrets: Secrets) -> None:
    hear, tell = os.pipe()
    try:
        with listen(paths) as control:
            inherited = (listener.fileno(), control.fileno(), tell)
            spawn_detached(
                supervisor_command(paths, life, *inherited),
                log=paths.supervisor_log,
                cwd=paths.root,
                env={**os.environ, **secrets.variable()},
                pass_fds=inherited,
            )
    finally:
        os.close(tell)
    with os.fdopen(hear, "rb") as pipe:
        said = pipe.readline().decode().strip() if select.select([pipe], [], [], _HANDSHAKE)[0] else ""
    if said != "ok":
        raise OSError(said or f"the endpoint's supervisor did not start; see {paths.supervisor_log}")


def _secrets(desired: Desired, change: Change) -> Secrets:
    """All that a new supervisor must know; a value given for one version serves others that have its name."""
    if desired.token and not change.token:
        raise ValueError("the endpoint has a token, which is kept in memory only: give it again")
    versions = {change.version: dict(change.values)} if change.values else {}
    for name, names in desired.secret_names.items():
        versions[name] = {key: change.values[key] for key in names if key in change.values}
        missing = [key for key in names if key not in change.values]
        if missing and name in desired.target:
            raise ValueError(
                f"version {name} needs the secrets {', '.join(missing)}, which are kept in memory only: give them again"
            )
    return Secrets(change.token or "", versions)


def _ending(paths: Paths) -> bool:
    """Whether the running supervisor will take no more orders: it has told so under the client lock."""
    desired, observed = paths.known(), read_json(paths.observed)
    if desired is None or desired.deleted:
        return True
    return bool(observed and observed["phase"] == "failed" and observed["observed_generation"] == desired.generation)


def _deleted(paths: Paths) -> bool:
    desired = paths.read_desired()
    return desired is None or desired.deleted
