"""An endpoint on this machine: replicas of versions behind one stable URL on 127.0.0.1.

Everything about an endpoint is in its directory: what clients want (``desired.json``), what is (``observed.json``),
figures (``stats/``), ``logs/`` and ``capture/``. A supervisor and a router keep it running after the client has ended;
either restarts the other. Every function here is a short client call; none of them needs the processes to answer,
except :func:`deploy` where it hands over secrets.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from . import rollout as _rollout
from .files import locked
from .router_stats import VersionMetrics
from .service_desired import ahead, deployed, latest_plan
from .service_paths import Paths
from .service_types import (
    SETTLED,
    Desired,
    Policy,
    ReplicaState,
    Rollout,
    ServiceConflict,
    ServiceState,
    VersionSpec,
    VersionState,
)

if TYPE_CHECKING:
    from .logs import LogRecord

__all__ = [
    "SETTLED",
    "Policy",
    "ReplicaState",
    "Rollout",
    "ServiceConflict",
    "ServiceState",
    "VersionMetrics",
    "VersionSpec",
    "VersionState",
    "check_port",
    "delete",
    "deploy",
    "logs",
    "metrics",
    "read",
    "resume",
    "rollback",
    "set_traffic",
    "version",
    "versions",
    "wait",
]


def deploy(
    directory: Path,
    version: VersionSpec,
    rollout: Rollout | None = None,
    *,
    port: int | None = None,
    token: str | None = None,
    secrets: Mapping[str, str] | None = None,
    policy: Policy | None = None,
) -> int:
    """Serve ``version``: the first one at once, a later one beside the old until it is ready, then by ``rollout``.

    The same version again changes nothing, unless it was refused, is down or its processes are gone: then it is tried
    again.
    Only a version that was refused and never live may come back under its name as something else.
    Returns the generation to wait for; see :class:`ServiceState`. ``port`` None keeps the endpoint's, or takes a free
    one. ``token`` None keeps the endpoint's, "" removes it. ``secrets`` are variables of this version's replicas; like
    the token they are held in memory only, so after a reboot they have to be given again. ``policy`` None keeps it.

    Raises:
        ServiceConflict: the version's name is taken by a different specification, or the endpoint has another port.
        ValueError: secrets are needed that were not given.
        OSError: the port is in use (the message names it), or the processes cannot be started. Nothing runs then.
    """
    from . import service_launch

    change = service_launch.Change(version.name, token, dict(secrets or {}))
    paths = Paths(directory)
    service_launch.check_port(paths, port)
    paths.root.mkdir(parents=True, exist_ok=True)
    with locked(paths.client_lock):
        running = service_launch.settle(paths)
        before = paths.known()
        after = deployed(paths, before, version, rollout or Rollout(), port, running=running)
        after = replace(
            after,
            policy=policy or after.policy,
            token=after.token if token is None else bool(token),
            secret_names={**after.secret_names, **({version.name: tuple(sorted(secrets))} if secrets else {})},
        )
        if running and after == before and not change and not paths.damaged():
            return after.generation
        return service_launch.apply(paths, after, change, running=running)


def resume(directory: Path, *, token: str | None = None, secrets: Mapping[str, str] | None = None) -> int:
    """Start an endpoint again whose processes are gone (a reboot), as it was; nothing happens where it runs.

    ``secrets`` are those of the live version, and ``token`` the endpoint's, where it had them. Returns the generation.

    Raises:
        LookupError: there is no endpoint.
        ValueError: it needs its token or secrets again.
        OSError: its port is in use, or the processes cannot be started.
    """
    from . import service_launch

    paths = Paths(directory)
    with _changing(paths) as before:
        if service_launch.settle(paths):
            return before.generation
        stable = dict(latest_plan(paths).stable) or dict(before.target)
        change = service_launch.Change(max(stable, key=lambda name: stable[name]), token, dict(secrets or {}))
        after = replace(before, generation=before.generation + 1, target=stable, action="resume")
        return service_launch.apply(paths, after, change, running=False)


def version(directory: Path, name: str) -> VersionSpec | None:
    """The version ``name`` as it was deployed, or None where the endpoint does not know it."""
    desired = Paths(directory).known()
    return None if desired is None else desired.versions.get(name)


def check_port(directory: Path, port: int | None) -> None:
    """Whether a deployment could have ``port`` (None and 0 always can): looked up, nothing is kept.

    Raises:
        ServiceConflict: the endpoint has another one.
        OSError: another program has it.
    """
    from . import service_launch

    service_launch.check_port(Paths(directory), port)


def versions(directory: Path) -> frozenset[str]:
    """The names of the versions that the endpoint knows: those in use, and those that it can go back to."""
    desired = Paths(directory).known()
    return frozenset(desired.versions if desired else ())


def set_traffic(directory: Path, percent: Mapping[str, float]) -> int:
    """Split traffic between versions, in percent (sum 100); stopped ones are started and get theirs when ready.

    Returns the generation to wait for.

    Raises:
        LookupError: there is no endpoint, or no such version.
        ValueError: the percentages do not add up to 100.
        ServiceConflict: its processes are gone.
    """
    if not all(value >= 0 for value in percent.values()) or not abs(sum(percent.values()) - 100) <= 1e-4:
        raise ValueError(f"traffic {dict(percent)} adds up to {sum(percent.values()):g}; expected 100 percent in all")
    paths = Paths(directory)
    with _changing(paths) as desired:
        for name in percent:
            if name not in desired.versions:
                raise LookupError(f"no version {name!r} here; there are: {', '.join(desired.versions)}")
        shares = {name: value / 100 for name, value in percent.items() if value}
        return _write(paths, replace(desired, target=shares, action="traffic"))


def rollback(directory: Path) -> int:
    """Go back: out of a rollout that is under way, else to the version that was live before. Returns the generation.

    A second call goes one version further back.

    Raises:
        LookupError: there is no endpoint.
        ServiceConflict: no version was live before, or its processes are gone.
    """
    paths = Paths(directory)
    with _changing(paths) as desired:
        target = _rollout.fallback(latest_plan(paths), desired)
        return _write(paths, replace(desired, target=target, action="rollback"))


def read(directory: Path) -> ServiceState:
    """The endpoint as its supervisor last saw it; phase "failed" where supervisor and router are gone.

    Raises:
        LookupError: there is no endpoint.
        ValueError: its files are damaged beyond what its supervisor keeps for that; the message names the file.
    """
    paths = Paths(directory)
    desired = _existing(paths)
    running = paths.running()
    # Looked at after the locks: a supervisor that has just ended has written its last word by now.
    state = paths.read_observed(desired)
    ended = state.phase in ("failed", "deleted") and state.observed_generation >= desired.generation
    if ended or (state.phase == "deleted" and not running):
        return state
    if not running:
        reason = "lost: its processes are gone; deploy it again"
        return replace(state, phase="failed", reason=paths.damaged() or reason, supervisor=None, router=None)
    if desired.deleted:
        return replace(state, phase="deleting")
    return state if state.observed_generation >= desired.generation else ahead(state, desired)


def wait(
    directory: Path,
    generation: int,
    *,
    timeout: float,
    poll: float = 0.1,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> ServiceState:
    """The state once the endpoint has come to rest with ``generation`` or a later one.

    Raises:
        TimeoutError: it has not after ``timeout`` seconds; the message says where it is.
        LookupError: there is no endpoint.
    """
    deadline = clock() + timeout
    while True:
        state = read(directory)
        if state.phase in ("failed", "deleted") or (state.phase in SETTLED and state.observed_generation >= generation):
            return state
        if clock() > deadline:
            raise TimeoutError(f"{state.url} is {state.phase} after {timeout:g} s: {state.reason or 'no reason given'}")
        sleep(poll)


def metrics(directory: Path, since: float | None = None, until: float | None = None) -> list[VersionMetrics]:
    """What each version answered between two epoch seconds (None: from its creation, until now).

    Raises:
        LookupError: there is no endpoint.
    """
    from . import router_stats

    paths = Paths(directory)
    start = _existing(paths).created if since is None else since
    return router_stats.summary(paths.stats, start, time.time() if until is None else until)


def logs(directory: Path, *, tail: int | None = None, follow: bool = False) -> Iterator[LogRecord]:
    """What replicas and set-up commands wrote, by time; with ``follow`` until the endpoint has ended.

    A record's source is ``<version>-<replica>`` or ``<version>-setup``. ``tail`` gives only the last so many lines.

    Raises:
        LookupError: there is no endpoint.
    """
    from . import logs as reader

    paths = Paths(directory)
    _existing(paths)
    if not follow:
        return reader.read(paths.root, tail=tail)
    return reader.follow(paths.root, tail=tail, done=lambda: not paths.running())


def delete(directory: Path, *, wait: float = 90.0) -> None:
    """End the endpoint, after its open requests; its directory stays. Twice is fine, and so is one that never was.

    Its processes are found where its files, or the directory itself, are lost or damaged too.
    Returns when all its processes are gone; those that are left after ``wait`` seconds are killed. With ``wait`` 0 it
    returns at once and the endpoint ends by itself.
    """
    from . import service_launch

    paths = Paths(directory)
    if not paths.root.exists():
        service_launch.abolish(paths)
        return
    with locked(paths.client_lock):
        try:
            desired = paths.known()
            if desired is not None and not desired.deleted:
                paths.write_desired(replace(desired, generation=desired.generation + 1, deleted=True))
        except (OSError, ValueError):  # a full disk, damage: whoever cleans up has to succeed
            service_launch.abolish(paths)
            return
    if wait or not paths.running():
        service_launch.end(paths, wait)


def _write(paths: Paths, desired: Desired) -> int:
    desired = replace(desired, generation=desired.generation + 1)
    if not paths.running():
        raise ServiceConflict(f"the endpoint in {paths.root} does not run; deploy it again first")
    paths.write_desired(desired)
    return desired.generation


def _existing(paths: Paths) -> Desired:
    desired = paths.known()
    if desired is None:
        raise LookupError(f"no endpoint in {paths.root}; deploy one first")
    return desired


@contextlib.contextmanager
def _changing(paths: Paths) -> Iterator[Desired]:
    """The client lock, and what is desired now of the endpoint to be changed."""
    _existing(paths)
    with locked(paths.client_lock):
        desired = _existing(paths)
        if desired.deleted:
            raise LookupError(f"the endpoint in {paths.root} was deleted; deploy again")
        yield desired
