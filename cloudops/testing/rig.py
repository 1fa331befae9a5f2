"""A rig: a provider under test, and what a test can do to it."""

from __future__ import annotations

import contextlib
import enum
import hashlib
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, TypeVar

import pytest

from cloudops.errors import CloudopsError
from cloudops.handles import Endpoint, Job
from cloudops.opening import connect
from cloudops.provider import Capability, Support
from cloudops.refs import Phase, Ref

from .projects import job, write_project

if TYPE_CHECKING:
    from cloudops.provider import Provider
    from cloudops.session import Session
    from cloudops.specs import DeploySpec, TrainSpec

Found = TypeVar("Found")


class Fault(enum.StrEnum):
    """What a rig may be able to make happen: to the next calls, the last two to one job or endpoint.

    A dropped connection ends before the service has acted, or after that and before its answer; a submission goes
    through nonetheless, so a rig lets those two happen once.
    """

    THROTTLED = "throttled"
    UNAVAILABLE = "unavailable"
    DENIED = "denied"
    NO_CAPACITY = "no_capacity"
    QUOTA = "quota"
    EXPIRED = "expired"
    NO_CREDENTIALS = "no_credentials"
    DROPPED_BEFORE = "dropped_before"
    DROPPED_AFTER = "dropped_after"
    INTERRUPTION = "interruption"
    UNKNOWN_STATE = "unknown_state"


class Rig:
    """A provider under test. Subclass it, set ``name``, and override what the provider can do more.

    Used as a context manager: what its sessions created is deleted at the end.

    Args:
        folder: an empty folder for project folders.
    """

    #: The provider's name, as in ``provider: local``.
    name: str = ""
    #: The settings of the target, JSON values.
    settings: Mapping[str, Any] = MappingProxyType({})
    #: Seconds that a job or a deployment may take.
    timeout: float = 60.0
    #: Seconds between two looks.
    poll: float = 0.05
    #: The shortest timeout of a job that the provider takes, in seconds.
    shortest_timeout: float = 1.0
    #: Seconds that a job may run beyond its timeout, in which the service notices and ends it.
    timeout_slack: float = 5.0
    #: Seconds in which something that goes on would show: the longest pause between a job's line and its log.
    quiet: float = 1.0
    #: Seconds that a canary is watched; long enough for a few dozen requests.
    bake: float = 2.0
    #: Seconds that a version which never becomes ready is given.
    readiness: float = 20.0
    #: The provider's own options of a deployment under which load adds a replica soon, and the seconds of its own
    #: time that pass between two bursts of load, where the rig has a clock of its own.
    scaling: Mapping[str, Any] = MappingProxyType({})
    between_bursts: float = 0.0
    #: Whether a canary is undone because its replicas end, with no request that fails; why not, where it is not.
    blind_to_health: str = ""
    #: Whether a job that prints 100 MB is part of the contract here.
    big_logs: bool = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._token = uuid.uuid4().hex
        self._sessions: list[Session] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Delete what the sessions created, and close them."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(_end, {(session.root, session.project): session for session in self._sessions}.values()))
        for session in self._sessions:
            session.provider.close()
        self._sessions.clear()

    # Sessions

    def project(self) -> Path:
        """A new project folder with the code, data and models of :mod:`cloudops.testing.projects`."""
        root = self.folder / f"project ü {uuid.uuid4().hex[:6]}"
        write_project(root)
        return root

    def session(
        self,
        *,
        project: str | None = None,
        root: Path | None = None,
        environ: Mapping[str, str] | None = None,
        plugins: tuple[object, ...] = (),
        **settings: Any,
    ) -> Session:
        """A session in a new project folder, or in ``root``.

        Args:
            project: the project's name; by default one that no other rig uses, the same for the same folder.
            root: a folder of :meth:`project`. Where it holds a ``cloudops.yaml`` and no ``project`` is given, the
                session has that project file.
            environ: where secrets come from.
            plugins: observers.
            settings: of the target, over those of the rig.
        """
        folder = root or self.project()
        configured = project is None and (folder / "cloudops.yaml").exists()
        opened = connect(
            provider=self.name,
            root=folder,
            project=None if configured else project or self.project_name(folder),
            environ=environ,
            plugins=plugins,
            **{**self.settings, **settings},
        )
        self._sessions.append(opened)
        return opened

    def project_name(self, root: Path) -> str:
        """The name of the project in ``root``: the same each time, and no other rig's."""
        return f"contract-{hashlib.sha256(f'{self._token}{root}'.encode()).hexdigest()[:8]}"

    @property
    def provider(self) -> Provider:
        """The provider, in a scope where nothing was created."""
        return self.session().provider

    # Controls

    def support(self, capability: Capability) -> Support:
        """What the provider declares."""
        from cloudops.registry import load, provider_info

        info = provider_info(self.name)
        declared: Mapping[Capability, Support] = load(info, info.capabilities)()
        return declared.get(capability, Support(False, "the provider does not declare it"))

    def need(self, *capabilities: Capability) -> None:
        """Skip the test, with the declared reason, where the provider lacks one of the capabilities."""
        for capability in capabilities:
            support = self.support(capability)
            if not support.ok:
                pytest.skip(f"{self.name} declares no {capability}: {support.reason}")

    def absent(self, session: Session, kind: str) -> Ref:
        """A well-formed handle, in the scope of ``session``, of something that was never there.

        Override it where a session's scope cannot be had from something that it creates.
        """
        found = session.train(job("nothing"))
        return Ref(found.ref.provider, found.ref.scope, kind, f"{session.project}-absent")

    def advance(self, seconds: float) -> None:
        """Let so much of the provider's time pass; a rig with a clock of its own need not wait for it."""
        time.sleep(seconds)

    def inject(self, fault: Fault, ref: Ref | None = None) -> AbstractContextManager[None]:
        """Make ``fault`` happen within the context, to ``ref`` or to the next calls; by default nothing can."""
        self.cannot(f"inject {fault}" + (f" into {ref.kind}" if ref else ""))

    def stored(self, files: Mapping[str, str]) -> AbstractContextManager[str]:
        """Files in an object store that jobs can read, as names below the URI that is given, which ends in ``/``."""
        self.cannot("write to an object store")

    @contextlib.contextmanager
    def elsewhere(self) -> Iterator[Rig]:
        """The rig of another provider whose outputs are to be read here; by default of ``local``."""
        if self.name == "local":
            self.cannot("run jobs of another provider")
        with Rig(self.folder) as other:
            other.name = "local"
            yield other

    def cannot(self, what: str) -> NoReturn:
        """Skip the test: the rig cannot do something."""
        pytest.skip(f"the rig of {self.name} cannot {what}")

    # What tests do all the time

    def train(self, session: Session, spec: TrainSpec, **options: Any) -> Job:
        """Run a job and wait for its success."""
        started = session.train(spec, **options)
        started.wait(self.timeout, poll=self.poll)
        return started

    def ended(self, started: Job) -> Phase:
        """The phase in which a job ends, whatever it is."""
        return self.until(started.status, lambda status: status.phase.final, f"{started.uri} to end").phase

    def deploy(self, session: Session, spec: DeploySpec, **options: Any) -> Endpoint:
        """Deploy and wait until the endpoint has settled."""
        endpoint = session.deploy(spec, **options)
        endpoint.wait(self.timeout, poll=self.poll)
        return endpoint

    def until(self, look: Callable[[], Found], done: Callable[[Found], bool], what: str) -> Found:
        """What ``look`` finds once it is ``done``; fails the test after ``timeout`` seconds."""
        deadline = time.monotonic() + self.timeout
        while True:
            found = look()
            if done(found):
                return found
            if time.monotonic() > deadline:
                pytest.fail(f"waited {self.timeout:g} s for {what}; the last look found {found!r}")
            time.sleep(self.poll)

    def settled(self, look: Callable[[], Found], what: str) -> Found:
        """What ``look`` finds once it finds the same again after ``quiet`` seconds; fails after ``timeout`` seconds."""
        found = [look()]

        def again() -> tuple[Found, Found]:
            time.sleep(self.quiet)
            found.append(look())
            return found[-2], found[-1]

        return self.until(again, lambda pair: pair[0] == pair[1], what)[1]

    def printed(self, started: Job, text: str) -> None:
        """Wait until the job has printed a line that contains ``text``."""
        self.until(lambda: [line.text for line in started.logs()], lambda lines: any(text in x for x in lines), text)


def _end(session: Session) -> None:
    with contextlib.suppress(CloudopsError):
        session.down()
