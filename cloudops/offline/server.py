"""The process of the offline clouds: ``python -m cloudops.offline.server``; started by :mod:`cloudops.offline.launch`.

Its only argument is a JSON object: ``settings``, ``folder`` (its own), ``temporary`` (whether that is to be removed at
the end), ``record`` (the file to be written), and the descriptors ``hello`` (a pipe that gets one line once it serves,
or what is wrong) and ``parent`` (a pipe whose end means that whoever started it is gone; null for none).
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudops.engine.files import Lock, read_json, write_json
from cloudops.engine.folders import remove
from cloudops.engine.process import ProcessId, spawn_detached
from cloudops.errors import CloudopsError, ConfigError

from . import guardian, indexes, keeping
from .ca import Authority
from .clock import Clock
from .control import Control
from .egress import Egress
from .emulator import Environment, Surroundings
from .emulators import Emulators, Kind, installed, named
from .environment import client, network, write_beside
from .faults import Faults
from .proxy import Proxy
from .record import Record
from .settings import Settings

#: Seconds that the emulators get for ending what runs; what is left then is killed.
_PATIENCE = 20.0


class Server:
    """The offline clouds, until :meth:`run` returns.

    Args:
        settings: what was asked for.
        folder: its own; held by a lock.
        record: where to write how it is reached.

    Raises:
        CloudopsError: it cannot serve; the text says why.
        OSError: a file cannot be written.
    """

    def __init__(self, settings: Settings, folder: Path, record: Path) -> None:
        self.settings, self.folder, self.record_path = settings, folder, record
        self._lock = _own(folder)
        self._keep = bool(settings.data)
        lost = keeping.lost(folder)
        self._ended = threading.Event()
        self.clock = Clock(settings.speed, ahead=_ahead(folder) if self._keep else 0.0)
        self.faults = Faults(settings.seed)
        self.authority = Authority(folder / "ca")
        write_beside(self.authority.certificate)
        self._token = secrets.token_urlsafe(32)
        ours, self.problems = installed()
        kinds = [named(path) for path in settings.emulators] + ours
        if not settings.index_credentials and (names := indexes.withheld(os.environ)):
            text = f"{', '.join(names)}: credentials for package indexes are kept from jobs"
            self.problems.append(f"{text}; --index-credentials passes them on")
        if lost:
            self.problems.append(lost)
        self.direct = indexes.hosts(os.environ)
        egress = Egress()
        about = {"settings": settings.to_json(), "pid": os.getpid(), "direct": self.direct, "problems": self.problems}
        control = Control(
            self._token,
            clock=self.clock,
            faults=self.faults,
            egress=egress,
            about=about,
            moved=self._keep_time,
            stop=self._ended.set,
        )
        self.emulators = control.emulators = Emulators(kinds, self._surroundings, self._kept)
        self.proxy = _bound(
            settings.port,
            password=secrets.token_urlsafe(16),
            authority=self.authority,
            emulators=self.emulators,
            egress=egress,
            faults=self.faults,
            clock=self.clock,
            control=control,
        )
        environments = [found for kind in reversed(kinds) if (found := self._environment(kind)) is not None]
        control.environment = client(
            self.proxy.address,
            self.proxy.url,
            self.authority.certificate,
            record,
            environments,
            indexes.roots(os.environ),
        )
        self._network = network(
            self.proxy.address,
            self.authority.certificate,
            folder,
            indexes.variables(
                os.environ,
                self.authority.certificate,
                folder / "ca" / "with-roots.pem",
                credentials=settings.index_credentials,
            ),
            self.direct,
        )

    def run(self, hello: int, parent: int | None) -> None:
        """Serve until a signal, ``stop``, or the end of the parent; then end all that runs."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: self._ended.set())
        if self._keep:
            keeping.begin(self.folder, os.getpid())
        record = Record(
            self.proxy.url, self._token, ProcessId.of(os.getpid()), str(self.folder), self.settings.to_json()
        )
        record.write(self.record_path)
        threading.Thread(target=self.proxy.serve_forever, kwargs={"poll_interval": 60}, daemon=True).start()
        if parent is not None:
            threading.Thread(target=self._attend, args=(parent,), daemon=True).start()
        _say(hello, {"problems": self.problems})
        while not self._ended.wait(3600):
            pass
        self._end()

    def _attend(self, parent: int) -> None:
        while os.read(parent, 64):
            pass
        self._ended.set()

    def _end(self) -> None:
        """End the emulators, and kill what does not end by itself."""
        with contextlib.suppress(OSError):
            found = Record.read(self.record_path)
            if found is not None and found.token == self._token:
                self.record_path.unlink()
        closed: list[bool] = []
        slots = list(self.emulators)
        threads = [threading.Thread(target=_close, args=(slot, closed), daemon=True) for slot in slots]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(_PATIENCE)
        guardian.sweep(self.folder)
        self._keep_time()
        if closed == [True] * len(slots):
            keeping.end(self.folder)

    def _keep_time(self) -> None:
        if self._keep:
            with contextlib.suppress(OSError):
                write_json(self.folder / "clock.json", {"ahead": self.clock.ahead})

    def _environment(self, kind: Kind) -> Environment | None:
        """What an emulator asks of clients; one that cannot tell is a problem, and no reason to have none of them."""
        try:
            return kind.environment(self._own_folder(kind, "client"))
        except Exception as error:
            traceback.print_exc()
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            self.problems.append(f"the offline cloud {kind.name} names no environment: {reason}")
            return None

    def _surroundings(self, kind: Kind) -> Surroundings:
        folder = self._own_folder(kind, "cloud")
        return Surroundings(folder, self.clock, self.faults, self._network, self.settings.images, self._keep)

    def _kept(self, kind: Kind) -> bool:
        return self._keep and (self.folder / kind.name / "cloud").is_dir()

    def _own_folder(self, kind: Kind, what: str) -> Path:
        folder = self.folder / kind.name / what
        folder.mkdir(parents=True, exist_ok=True)
        return folder


def main(arguments: Mapping[str, Any]) -> int:
    """Run a server; returns the exit code. After anything but a clean end the guardian cleans up."""
    folder, temporary, hello = Path(arguments["folder"]), arguments["temporary"], arguments["hello"]
    try:
        watched = _watch(folder, temporary)
        server = Server(Settings(**arguments["settings"]), folder, Path(arguments["record"]))
        server.run(hello, arguments["parent"])
        if temporary:
            remove(folder)
        os.write(watched, guardian.DONE)
        return 0
    except CloudopsError as error:
        kind = type(error).__name__
        _say(hello, {"error": {"type": kind, "message": error.message, "hint": error.hint}})
    except OSError as error:
        what = f"{error.filename}: " if error.filename else ""
        _say(hello, {"error": {"type": "OSError", "message": f"{what}{error.strerror or error}", "hint": None}})
    except Exception as error:  # a bug, or an emulator's module that has one
        traceback.print_exc()
        _say(hello, {"error": {"type": "Bug", "message": f"{type(error).__name__}: {error}", "hint": None}})
    return 1


def _watch(folder: Path, temporary: bool) -> int:
    """Have a guardian watch this process; returns the pipe that tells it of our end."""
    theirs, ours = os.pipe()
    try:
        command = [sys.executable, "-P", "-m", "cloudops.offline.guardian", str(folder), str(theirs)]
        spawn_detached([*command, str(int(temporary))], log=Path(os.devnull), pass_fds=(theirs,))
    finally:
        os.close(theirs)
    return ours


def _own(folder: Path) -> Lock:
    """The lock on a server's folder: two servers on the same state would each overwrite the other's."""
    lock = Lock(folder / "lock")
    if not lock.acquire():
        pid = keeping.holder(folder)
        process, ends = (f", process {pid}", f"`kill {pid}` ends that one") if pid else ("", "stop that one")
        raise ConfigError(
            f"{folder} is in use by another offline cloud{process}", hint=f"{ends}; or name another --data"
        )
    return lock


def _ahead(folder: Path) -> float:
    """How far the kept state's clock was before the machine's: it does not go back."""
    with contextlib.suppress(ValueError, TypeError, OSError):
        kept = read_json(folder / "clock.json")
        ahead = float(kept["ahead"]) if kept else 0.0
        return ahead if 0.0 <= ahead < math.inf else 0.0
    return 0.0


def _bound(port: int, **parts: Any) -> Proxy:
    try:
        return Proxy(port, **parts)
    except OSError as error:
        raise ConfigError(
            f"port {port} of 127.0.0.1 cannot be had: {error.strerror}", hint="leave --port out for a free one"
        ) from error


def _close(slot: Any, closed: list[bool]) -> None:
    try:
        slot.close()
    except Exception:
        traceback.print_exc()
    else:
        closed.append(True)


def _say(hello: int, value: Mapping[str, Any]) -> None:
    with contextlib.suppress(OSError):
        os.write(hello, json.dumps(value).encode() + b"\n")
        os.close(hello)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
