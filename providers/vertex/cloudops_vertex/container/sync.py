"""Keeps a folder of checkpoints in the bucket while a job runs: machines may go away without a warning.

A file is sent once it is the same in two looks, so that a half-written one is rarely seen; at the end all are.
Standard library only; Python 3.9.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Set as AbstractSet
from pathlib import Path

from cloudops_vertex.container.gcs import Google

_State = dict[str, tuple[int, int]]


class Checkpoints:
    """A folder and where it is kept.

    Args:
        google: the client.
        bucket: of the copy.
        prefix: of the copy, with its slash.
        folder: the local one.
        leader: whether what is deleted here is deleted there, which only one rank may do.
        every: seconds between two looks.
    """

    def __init__(
        self, google: Google, bucket: str, prefix: str, folder: Path, *, leader: bool, every: float = 0.5
    ) -> None:
        self._google, self._bucket, self._prefix = google, bucket, prefix
        self._folder, self._leader, self._every = folder, leader, every
        self._sent: _State = {}
        self._seen: _State = {}
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Bring what an earlier try left, then watch."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._google.download_all(self._bucket, self._prefix, self._folder)
        self._sent = self._look()
        self._thread.start()

    def close(self) -> None:
        """Send what is left to send."""
        if self._thread.ident is None:
            return
        self._over.set()
        self._thread.join()
        now = self._look()
        self._send(now, set(self._sent) - set(now))

    def _watch(self) -> None:
        while not self._over.wait(self._every):
            now = self._look()
            calm = {name: state for name, state in now.items() if self._seen.get(name) == state}
            gone = set(self._sent) - set(now)
            self._seen = now
            try:
                self._send(calm, gone)
            except Exception as error:  # the next look tries it again
                print("[cloudops] checkpoints: {}".format(" ".join(str(error).split())), file=sys.stderr, flush=True)
                self._over.wait(10 * self._every)

    def _send(self, files: _State, gone: AbstractSet[str]) -> None:
        with self._lock:
            for name, state in files.items():
                if self._sent.get(name) != state:
                    try:
                        self._google.upload(self._bucket, self._prefix + name, self._folder / name)
                    except FileNotFoundError:
                        continue
                    self._sent[name] = state
            for name in gone:
                if self._leader:
                    self._google.delete(self._bucket, self._prefix + name)
                self._sent.pop(name, None)

    def _look(self) -> _State:
        found = {}
        for base, _, names in os.walk(self._folder):
            for name in names:
                path = os.path.join(base, name)
                try:
                    status = os.stat(path)
                except OSError:
                    continue
                found[os.path.relpath(path, self._folder).replace(os.sep, "/")] = (status.st_mtime_ns, status.st_size)
        return found
