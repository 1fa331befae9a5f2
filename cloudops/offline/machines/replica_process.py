"""The process of an instance: the engine's shim, which keeps the log, above the container's program."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys

from cloudops.engine.process import ProcessId, end_group
from cloudops.engine.service_shim import Task

_SHIM = "cloudops.engine.service_shim"


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def spawn(task: Task, label: str) -> subprocess.Popen[bytes]:
    """Start ``task``; it ends with the thread that calls this.

    Raises:
        OSError: no process could be started.
    """
    shim = subprocess.Popen(
        [sys.executable, "-P", "-m", _SHIM, label],
        stdin=subprocess.PIPE,
        env=_own_environment(),
        start_new_session=True,
    )
    assert shim.stdin is not None
    with contextlib.suppress(BrokenPipeError), shim.stdin:
        shim.stdin.write(task.encode())
    return shim


def _own_environment() -> dict[str, str]:
    """The shim is ours, but it stands in the process table where a container could look: no credentials there."""
    return {key: value for key, value in os.environ.items() if key in ("PATH", "PYTHONPATH", "LANG", "HOME", "TMPDIR")}


def end_process(shim: subprocess.Popen[bytes], grace: float) -> None:
    """End it with all that it started: SIGTERM, then SIGKILL after ``grace`` seconds (0: at once)."""
    if shim.poll() is not None:
        return
    if grace:
        shim.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            shim.wait(grace)
            return
    with contextlib.suppress(ProcessLookupError):
        end_group(ProcessId.of(shim.pid), grace=0)
