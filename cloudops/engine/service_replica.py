"""One replica: started under its shim or adopted, probed, and ended; the version it belongs to decides when."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

from .job_types import MARKER
from .limits import choose_cores, thread_variables, tree_memory
from .process import ProcessId, descendants, end_group
from .service_find import SHIM
from .service_paths import Paths
from .service_shim import NO_PROGRAM, Task, describe, last_words
from .service_types import VersionSpec

_OWN = "cloudops-ready-"


class Replica:
    """A process that serves version ``version`` in place ``index``; ``started`` is epoch seconds."""

    def __init__(self, version: str, index: int, shim: ProcessId, ready_file: Path, log: Path) -> None:
        self.version, self.index, self.shim = version, index, shim
        self.ready_file, self.log = ready_file, log
        self.key = f"{version}/{index}/{shim.pid}"
        self.child: subprocess.Popen[bytes] | None = None
        self.pid: int | None = None
        self.port: int | None = None
        self.ready = False
        self.was_ready = False
        self.failures = 0
        self.used = 0
        self.unrouted: int | None = None
        self.ending_since: float | None = None
        self.told = False

    @property
    def started(self) -> float:
        """When its shim started (epoch seconds)."""
        return self.shim.started

    def alive(self) -> bool:
        """Whether the shim runs, and with it the replica; collects the shim where it is our child."""
        if self.child is not None:
            return self.child.poll() is None
        return self.shim.alive()

    def epitaph(self) -> str:
        """How a replica that is gone ended, with the last line that it wrote."""
        words = last_words(self.log)
        how = describe(self.child.returncode if self.child else None)
        return f"{how}: {words}" if words else how

    def unstartable(self) -> bool:
        """Whether it ended because its program was not there."""
        return self.child is not None and self.child.poll() == NO_PROGRAM

    def announced(self) -> bool:
        """Whether it listens: the port and the process id are then known."""
        if self.port is None:
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
                value = json.loads(self.ready_file.read_text(encoding="utf-8"))
                self.pid, self.port = int(value["pid"]), int(value["port"])
        return self.port is not None

    async def probe(self, path: str, timeout: float) -> None:
        """Ask for its health once and note the answer in ``ready`` and ``failures``."""
        status = await _status(self.port, path, timeout) if self.announced() else None
        if status == 200:
            self.ready, self.was_ready, self.failures = True, True, 0
            return
        self.failures += 1
        # An answer other than 200 is the replica's own "not now"; silence may pass, and the router tries elsewhere.
        if status is not None:
            self.ready = False

    def memory(self, limit: int) -> int:
        """Bytes of memory of the replica's processes, as far as ``limit`` matters (:func:`limits.tree_memory`)."""
        return tree_memory(descendants(self.shim.pid), limit)

    def tell(self) -> None:
        """Ask it to finish its requests and end (once)."""
        if not self.told:
            self.told = True
            self.shim.send(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, with everything that it started, and forget its ready file."""
        end_group(self.shim, grace=0)
        if self.child is not None:
            self.child.wait()
        with contextlib.suppress(OSError):
            self.ready_file.unlink(missing_ok=True)
            if self.ready_file.parent.name.startswith(_OWN):
                self.ready_file.parent.rmdir()


def start(paths: Paths, life: str, spec: VersionSpec, secrets: Mapping[str, str], index: int) -> Replica:
    """Start a replica of ``spec`` in place ``index``, for the endpoint with that ``life``.

    Raises:
        OSError: the shim could not be started (no memory, too many processes).
    """
    capture = paths.capture / spec.name
    _make(paths.ready, capture)
    ready_file = _writable(paths.ready) / f"{spec.name}-{index}-{uuid.uuid4().hex[:8]}.json"
    own = {
        "CLOUDOPS_HOST": "127.0.0.1",
        "CLOUDOPS_PORT": "0",
        "CLOUDOPS_READY_FILE": str(ready_file),
        "CLOUDOPS_MODEL_VERSION": spec.name,
        "CLOUDOPS_CAPTURE_DIR": str(capture),
        "CLOUDOPS_CAPTURE_SAMPLE": f"{spec.capture_sample:g}",
    }
    log = paths.log(spec.name, index)
    child = run(paths, spec, spec.argv, own, secrets, log, labels=(life, spec.name, str(index), str(ready_file)))
    replica = Replica(spec.name, index, ProcessId.of(child.pid), ready_file, log)
    replica.child = child
    return replica


def run(
    paths: Paths,
    spec: VersionSpec,
    argv: tuple[str, ...],
    own: Mapping[str, str],
    secrets: Mapping[str, str],
    log: Path,
    *,
    labels: tuple[str, ...],
    tied: bool = False,
) -> subprocess.Popen[bytes]:
    """Start ``argv`` as version ``spec`` would be, under a shim that logs to ``log``.

    Raises:
        OSError: the shim could not be started.
    """
    _make(log.parent)
    # The marker lets jobs and other replicas see whose cores and GPUs are taken.
    own = {"CUDA_VISIBLE_DEVICES": ",".join(spec.gpus), MARKER: str(paths.root / log.stem), **own}
    env = {**thread_variables(spec.cpus), **spec.env, **own, **secrets}
    task = Task(argv, env, spec.cwd, str(log), choose_cores(spec.cpus)[0], tuple(secrets.values()), tied)
    shim = subprocess.Popen(
        [sys.executable, "-P", "-m", SHIM, str(paths.root), *labels],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    assert shim.stdin is not None
    with contextlib.suppress(BrokenPipeError), shim.stdin:
        shim.stdin.write(task.encode())
    return shim


def _make(*directories: Path) -> None:
    """Whoever misses one that cannot be made has the better error message."""
    for directory in directories:
        with contextlib.suppress(OSError):
            directory.mkdir(parents=True, exist_ok=True)


def _writable(directory: Path) -> Path:
    """``directory``, or one of our own elsewhere where its disk is full: replicas have to come up then too."""
    try:
        with tempfile.TemporaryFile(dir=directory) as probe:
            probe.write(bytes(256))
            return directory
    except OSError:
        pass
    for other in ("/dev/shm", None):
        with contextlib.suppress(OSError):
            return Path(tempfile.mkdtemp(prefix=_OWN, dir=other))
    return directory


async def _status(port: int | None, path: str, timeout: float) -> int | None:
    """The HTTP status of a GET, or None where no answer came in time."""
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
                return int((await reader.readline()).split()[1])
            finally:
                writer.close()
    except (OSError, TimeoutError, ValueError, IndexError):
        return None
