"""Ends what an emulator runs when the emulator itself is killed: ``python -m ...reaper FOLDER KEEP``.

The engine's supervisors outlive whoever started them, as a job of the local provider has to; a job in the offline cloud
must not. This process waits for the end of its standard input, which the emulator holds open as long as it lives, and
then ends every job in the folder. Unless KEEP is ``keep`` it removes the folder, too, which ends endpoints.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from pathlib import Path


class Reaper:
    """The process that waits for the end of this one.

    Args:
        folder: of the emulator.
        keep: whether its files are to stay.
    """

    def __init__(self, folder: Path, *, keep: bool) -> None:
        command = [sys.executable, "-P", "-m", __name__, str(folder), "keep" if keep else "remove"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )

    def dismiss(self) -> None:
        """Have it end: nothing runs any more."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


def kill_job(directory: Path) -> None:
    """End a job of the engine's at once, with all that it started; silent where there is none."""
    from cloudops.engine import job
    from cloudops.engine.process import descendants

    with contextlib.suppress(FileNotFoundError, ValueError):
        job.cancel(directory)
        for rank in job.read(directory).ranks:
            for process in descendants(rank.pid):
                with contextlib.suppress(Exception):  # psutil's, for one that is gone
                    process.send_signal(signal.SIGKILL)
            rank.send(signal.SIGKILL)


def main(arguments: list[str]) -> int:
    """Wait, and end what is left."""
    import time

    from cloudops.engine.folders import remove

    folder, keep = Path(arguments[0]), arguments[1] == "keep"
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.read()
    for _ in range(3):  # one may just have been starting
        for state in folder.rglob("state.json"):
            kill_job(state.parent)
        time.sleep(0.3)
    if not keep:
        with contextlib.suppress(OSError):
            remove(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
