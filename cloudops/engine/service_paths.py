"""Where everything of an endpoint lies, in one directory, and the two files that say what it should be and is."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from .files import Lock, read_json, write_json
from .service_types import Desired, ServiceState


class Paths:
    """The files of the endpoint in ``directory``: resolved, so that every process names it alike."""

    def __init__(self, directory: Path | str) -> None:
        self.root = Path(os.path.realpath(directory))
        self.desired = self.root / "desired.json"
        self.observed = self.root / "observed.json"
        self.stats = self.root / "stats"
        self.logs = self.root / "logs"
        self.capture = self.root / "capture"
        self.ready = self.root / "ready"
        self.control = self.root / "control.sock"
        self.supervisor_log = self.root / "supervisor.log"
        self.router_log = self.root / "router.log"
        self.client_lock = self.root / "clients.lock"

    def log(self, version: str, index: int) -> Path:
        """The log of one replica's place."""
        return self.logs / f"{version}-{index}.log"

    def setup_log(self, version: str) -> Path:
        """The log of a version's set-up commands."""
        return self.logs / f"{version}-setup.log"

    def supervisor_lock(self) -> Lock:
        """Held by the supervisor while it lives."""
        return Lock(self.root / "lock")

    def router_lock(self) -> Lock:
        """Held by the router while it lives."""
        return Lock(self.root / "router.lock")

    def running(self) -> bool:
        """Whether the supervisor or the router lives; either one restarts the other."""
        return self.supervisor_lock().held_by_someone() or self.router_lock().held_by_someone()

    def read_desired(self) -> Desired | None:
        """What clients want, or None where nothing was ever deployed.

        Raises:
            ValueError: the file is damaged; the message names it.
        """
        try:
            value = read_json(self.desired)
            return None if value is None and not self.desired.exists() else Desired.from_json(value)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # Not to be deleted, as other damaged files may be: without it the endpoint ends.
            raise ValueError(f"{self.desired} is damaged ({type(error).__name__}); deploy again to mend it") from error

    def damaged(self) -> str:
        """What is wrong with the file that says what clients want, or ""."""
        try:
            self.read_desired()
        except ValueError as error:
            return str(error)
        return ""

    def known(self) -> Desired | None:
        """What clients want; where that file is damaged, what the supervisor last read in it.

        Raises:
            ValueError: that is lost too.
        """
        try:
            return self.read_desired()
        except ValueError as error:
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                return Desired.from_json(read_json(self.observed)["desired"])
            raise ValueError(f"{self.desired} is damaged; delete the endpoint and deploy it again") from error

    def read_observed(self, desired: Desired) -> ServiceState:
        """What the supervisor last wrote, with the generation of ``desired``; "creating" where it wrote nothing yet.

        Raises:
            ValueError: the file is damaged; the message names it.
        """
        value = read_json(self.observed)
        if value is None:
            url = f"http://127.0.0.1:{desired.port}"
            return ServiceState("creating", "", url, desired.port, desired.generation, 0)
        try:
            return replace(ServiceState.from_json(value), generation=desired.generation)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{self.observed} is damaged ({error}); delete it: the supervisor rewrites it") from error

    def write_desired(self, desired: Desired) -> None:
        """Replace what clients want; to be called under the client lock.

        Raises:
            OSError: it could not be written; nothing has changed.
        """
        write_json(self.desired, desired.to_json())


@contextlib.contextmanager
def short(path: Path) -> Iterator[str]:
    """A name of ``path`` that fits into a socket address (about 100 bytes), however deep its directory lies."""
    if len(os.fsencode(path)) < 100:
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="cloudops-") as directory:
        link = Path(directory) / "d"
        link.symlink_to(path.parent)
        yield str(link / path.name)
